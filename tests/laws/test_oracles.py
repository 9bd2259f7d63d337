"""Law 6: the mathematics against torch, torchvision and autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import hflip, rotate, vflip

from tests.laws.strategies import CPU, HOME, parsed
from worker.engine.data import Data
from worker.engine.progress import Progress
from worker.engine.stack import Member, Stack
from worker.spec.optimizers import KINDS as OPTIMIZERS
from worker.spec.part import Stacked

SMALL = {
    "dataset": {"kind": "digits", "train_size": 96, "validation_size": 30},
    "model": {"kind": "mlp", "hidden": [20, 12]},
    "batch_size": 32,
    "epochs": 1,
}
TORCH: dict[str, Callable[[list[Tensor], float], torch.optim.Optimizer]] = {
    "sgd": lambda p, lr: torch.optim.SGD(p, lr=lr),
    "momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "adam": lambda p, lr: torch.optim.Adam(p, lr=lr),
}


@pytest.mark.parametrize("kind", sorted(OPTIMIZERS))
def test_an_optimizer_is_torchs_in_float64(kind: str) -> None:
    assert kind in TORCH, f"{kind} needs an oracle here"
    rates = [0.001, 0.03]
    torch.manual_seed(1)
    start, gradients = torch.randn(2, 50, dtype=torch.float64), torch.randn(20, 2, 50, dtype=torch.float64)
    parts = [OPTIMIZERS[kind].model_validate({"kind": kind, "lr": lr}) for lr in rates]
    stacked = Stacked(parts, device=CPU, dtype=torch.float64)
    w, lr = start.clone(), torch.tensor(rates, dtype=torch.float64).unsqueeze(1)
    state = {name: torch.zeros_like(w) for name in OPTIMIZERS[kind].state}
    for t, g in enumerate(gradients, start=1):
        stacked.maths.update(stacked, w, g.clone(), lr, state, t)
    for k, rate in enumerate(rates):
        p = start[k].clone().requires_grad_()
        optimizer = TORCH[kind]([p], rate)
        for g in gradients:
            p.grad = g[k].clone()
            optimizer.step()
        torch.testing.assert_close(w[k], p.detach(), rtol=1e-6, atol=1e-12)


def step_of(body: dict[str, object]) -> tuple[Stack, Progress]:
    spec = parsed(body)
    stack = Stack([Member("a", spec)], CPU)
    return stack, Progress(stack, Data(spec.dataset, HOME, CPU), 1)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("regularizers", [[], [{"kind": "l2", "strength": 0.1}], [{"kind": "dropout", "p": 0.4}]])
def test_every_closed_form_gradient_is_autograds(activation: str, regularizers: list[dict[str, Any]]) -> None:
    body = {**SMALL, "model": {"kind": "mlp", "hidden": [20, 12], "activation": activation}}
    stack, progress = step_of({**body, "regularizers": regularizers, "optimizer": {"kind": "sgd", "lr": 1.0}})
    before = {name: tensor.clone() for name, tensor in stack.tensors(0).items()}
    chosen = progress.batches.order[0, :32]
    x, y = progress.data.batch(chosen[None])[0], progress.data.labels[chosen]
    factors = list[Tensor]()
    act = progress._act
    progress._act = lambda a, layer: _kept(act(a, layer), factors)  # type: ignore[method-assign]
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


def _kept(factor: Tensor | None, factors: list[Tensor]) -> Tensor | None:
    if factor is not None:
        factors.append(factor)
    return factor


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_image_operations_are_torchvisions_exact_pixels_in_list_order(order: tuple[int, ...]) -> None:
    kinds: list[dict[str, Any]] = [
        {"kind": "rotation", "degrees": 30.0},
        {"kind": "horizontal_flip"},
        {"kind": "vertical_flip"},
    ]
    parts = [kinds[i] for i in order]
    stack, progress = step_of({**SMALL, "regularizers": parts, "optimizer": {"kind": "sgd", "lr": 0.1}})
    stack.seek(1, 0, 32)
    rows = progress.batches.order[:, :32]
    assert stack.moves is not None
    moved = progress.data.moved(rows, stack.moves.index())[0].view(32, 8, 8) * 16
    draws = {d.purpose.split("/")[1]: d.uniform()[0] for _, d in stack.regularizers}
    angles = ((2 * draws["rotation"] - 1) * 3000).round() / 100
    for i, row in enumerate(rows[0]):
        image = progress.data.raw[row].view(1, 8, 8)
        for part in parts:
            if part["kind"] == "rotation":
                image = rotate(image, angles[i].item(), InterpolationMode.NEAREST, fill=0)
            elif draws[str(part["kind"])][i] < 0.5:
                image = hflip(image) if part["kind"] == "horizontal_flip" else vflip(image)
        assert torch.equal(moved[i].round().to(torch.uint8), image[0])


def test_dropout_keeps_its_share_of_units_and_the_expectation() -> None:
    from worker.engine.streams import StackDraws
    from worker.spec.regularizers.dropout import Dropout

    parts = [Dropout(p=p) for p in (0.0, 0.3, 0.9)]
    draws = StackDraws([1, 2, 3], "regularizer/dropout/0", CPU, torch.float32)
    draws.seek(1, 0, 400)
    a = torch.ones(3, 400, 501)
    factor = Dropout.act(Stacked(parts, device=CPU, dtype=torch.float32), a, draws, 0)
    assert torch.equal(a, factor)
    dropped = (a == 0).float().mean((1, 2))
    torch.testing.assert_close(dropped, torch.tensor([0.0, 0.3, 0.9]), atol=0.004, rtol=0)
    torch.testing.assert_close(a.mean((1, 2)), torch.ones(3), atol=0.02, rtol=0)


def test_l1_makes_true_zeros_and_its_step_is_softshrink() -> None:
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}}
    plain, progress = step_of(body)
    progress.train_step(1)
    sparse, progress = step_of({**body, "regularizers": [{"kind": "l1", "strength": 0.5}]})
    progress.train_step(1)
    for name, tensor in plain.tensors(0).items():
        shrunk = torch.nn.functional.softshrink(tensor, 0.05) if name.endswith("weight") else tensor
        torch.testing.assert_close(sparse.tensors(0)[name], shrunk, rtol=0, atol=1e-7)
    assert (sparse.tensors(0)["layers.0.weight"] == 0).float().mean() > 0.2
