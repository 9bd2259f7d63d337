"""Law 6: models, the step and the data against torch and autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from sklearn.metrics import confusion_matrix
from torch import Tensor, nn

from tests.laws.oracles import SMALL, step_of
from tests.laws.strategies import CPU, HOME, parsed
from worker.engine.data import Data
from worker.engine.evaluation import confusion, evaluate, predictions, weights_of
from worker.engine.hooks import EvaluationHooks
from worker.engine.progress import Progress
from worker.engine.stack import Member, Stack
from worker.spec.datasets.digits import Digits
from worker.spec.families.model import CHUNK_ROWS, Hidden, HookResult


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("regularizers", [[], [{"kind": "l2", "strength": 0.1}], [{"kind": "dropout", "p": 0.4}]])
def test_every_closed_form_gradient_matches_autograd(activation: str, regularizers: list[dict[str, Any]]) -> None:
    body = {**SMALL, "model": {"kind": "mlp", "hidden": [20, 12], "activation": activation}}
    stack, progress = step_of({**body, "regularizers": regularizers, "optimizer": {"kind": "sgd", "lr": 1.0}})
    before = {name: tensor.clone() for name, tensor in stack.tensors(0).items()}
    chosen = progress.batches.order[0, :32]
    x, y = progress.data.batch(chosen[None])[0], progress.data.y[chosen]
    factors = list[Tensor]()
    progress.hooks.hidden = Watched(progress.hooks.hidden, factors)
    progress.train_step(1)

    p = {name: tensor.clone().requires_grad_() for name, tensor in before.items()}
    h = x
    for layer in range(3):
        h = torch.nn.functional.linear(h, p[f"layers.{layer}.weight"], p[f"layers.{layer}.bias"])
        if layer < 2:
            h = getattr(torch, activation)(h)
            h = h * factors[layer][0] if factors else h
    loss = torch.nn.functional.cross_entropy(h, y)
    strength = 0.1 if regularizers and regularizers[0]["kind"] == "l2" else 0.0
    weights = [t for name, t in p.items() if name.endswith("weight")]
    (loss + strength / 2 * sum(w.square().sum() for w in weights)).backward()  # type: ignore[no-untyped-call]
    for name, tensor in stack.tensors(0).items():
        torch.testing.assert_close(before[name] - tensor, p[name].grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(progress.losses()[0][0], loss.detach().double(), rtol=1e-5, atol=0)


class Watched:
    """Training mode, with the factors kept."""

    training = True

    def __init__(self, mode: Hidden, factors: list[Tensor]) -> None:
        self._mode, self._factors, self.keeps = mode, factors, mode.keeps

    def __call__(self, a: Tensor, layer: int) -> HookResult:
        acted = self._mode(a, layer)
        if acted.factor is not None:
            self._factors.append(acted.factor)
        return acted


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("pooling", ["max", "average", "none"])
def test_convolutional_network_matches_torch(norm: str, pooling: str) -> None:
    model = {"kind": "cnn", "channels": [3, 5], "hidden": [9], "norm": norm, "pooling": pooling}
    stack, progress = step_of({**SMALL, "model": model, "optimizer": {"kind": "sgd", "lr": 1.0}})
    before = {name: tensor.clone().requires_grad_() for name, tensor in stack.tensors(0).items()}
    norms: dict[str, Callable[[int], nn.Module]] = {
        "none": lambda _: nn.Identity(),
        "batch": nn.BatchNorm2d,
        "layer": lambda c: nn.GroupNorm(1, c),
    }
    pools: dict[str, nn.Module] = {"max": nn.MaxPool2d(2), "average": nn.AvgPool2d(2), "none": nn.Identity()}
    layers: list[nn.Module] = []
    for inside, out in ((1, 3), (3, 5)):
        layers += [nn.Conv2d(inside, out, 3, padding=1), norms[norm](out), nn.ReLU(), pools[pooling]]
    size = {"none": 8}.get(pooling, 2)
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(5 * size * size, 9), nn.ReLU(), nn.Linear(9, 10))
    learned = [p for p, name in zip(network.parameters(), before, strict=False)]
    names = [name for name in before if "running" not in name]
    with torch.no_grad():
        for p, name in zip(learned, names, strict=True):
            p.copy_(before[name])
    chosen = progress.batches.order[0, :32]
    x, y = progress.data.batch(chosen[None])[0].view(-1, 1, 8, 8), progress.data.y[chosen]
    nn.functional.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
    progress.train_step(1)
    after = stack.tensors(0)
    for p, name in zip(learned, names, strict=True):
        torch.testing.assert_close(before[name].detach() - after[name], p.grad, rtol=1e-3, atol=1e-5)
    for name, buffer in network.named_buffers():
        if "running" in name:
            block, what = int(name.split(".")[0]) // 4, name.rpartition(".")[2]
            torch.testing.assert_close(after[f"blocks.{block}.norm.{what}"], buffer, rtol=1e-4, atol=1e-6)


def test_full_batch_equals_the_sum_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {**SMALL, "batch_size": "full", "optimizer": {"kind": "sgd", "lr": 0.5}}
    whole, progress = step_of(body)
    progress.train_step(1)
    assert progress.rows == 96
    monkeypatch.setattr("worker.engine.progress.MICRO_ROWS", 40)
    parts, progress = step_of(body)
    progress.train_step(1)
    assert progress.rows == 96
    for name, tensor in whole.tensors(0).items():
        torch.testing.assert_close(parts.tensors(0)[name], tensor, rtol=1e-4, atol=1e-6)


def test_bfloat16_rounds_products_and_stays_close() -> None:
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.5}}
    exact, progress = step_of(body)
    progress.train_step(1)
    rounded, progress = step_of({**body, "precision": "bfloat16"})
    progress.train_step(1)
    for name, tensor in exact.tensors(0).items():
        assert rounded.tensors(0)[name].dtype == torch.float32
        torch.testing.assert_close(rounded.tensors(0)[name], tensor, rtol=0.05, atol=0.01)
    assert not torch.equal(rounded.weights, exact.weights)


def test_label_noise_and_imbalance_are_as_specified() -> None:
    plain = Digits(train_size=500)
    noisy = Data(Digits(train_size=500, label_noise=0.3), HOME, CPU)
    labels = Data(plain, HOME, CPU).y
    assert (noisy.y != labels).sum() == 150
    assert torch.equal(noisy.validation.y, Data(plain, HOME, CPU).validation.y)
    spec = Digits(imbalance=10.0)
    counts = torch.bincount(Data(spec, HOME, CPU).y).tolist()
    assert counts == spec.class_rows
    assert counts[0] == pytest.approx(10 * counts[-1], rel=0.1)


def test_recorded_norm_and_zeros_match_the_weights() -> None:
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}, "regularizers": [{"kind": "l1", "strength": 0.05}]}
    stack = Stack([Member(str(seed), parsed({**body, "seed": seed})) for seed in range(2)], CPU)
    Progress(stack, Data(parsed(body).dataset, HOME, CPU), 1).train_step(1)
    norm, zeros = weights_of(stack)
    for k in range(2):
        weights = torch.cat([t.flatten() for name, t in stack.tensors(k).items() if name.endswith("weight")])
        torch.testing.assert_close(norm[k], weights.double().norm(), rtol=1e-6, atol=0)
        assert zeros[k] == (weights == 0).double().mean() > 0


def test_confusion_matrix_matches_scikit_learn_and_its_diagonal_the_accuracy() -> None:
    specs = [parsed({**SMALL, "optimizer": {"kind": "sgd", "lr": 0.2}, "seed": seed}) for seed in range(3)]
    stack = Stack([Member(str(spec.seed), spec) for spec in specs], CPU)
    data = Data(specs[0].dataset, HOME, CPU)
    Progress(stack, data, 1).train_step(1)
    test = data.test
    assert len(test.y) % CHUNK_ROWS, "the last chunk is to be a partial one"
    counts = confusion(stack, test, data.spec.outputs)
    labels = predictions(stack, test, EvaluationHooks(stack)).argmax(2)
    for k, matrix in enumerate(counts):
        assert matrix.tolist() == confusion_matrix(test.y, labels[k], labels=range(data.spec.outputs)).tolist()
    accuracy = evaluate(stack, test)[1]
    assert torch.equal(counts.diagonal(dim1=1, dim2=2).sum(1).double() / len(test.y), accuracy)
