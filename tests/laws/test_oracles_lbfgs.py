"""L-BFGS against ``torch.optim.LBFGS``, and the laws where runs of a stack store different pairs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.laws.strategies import CPU, MAX_RUNS, parsed
from tests.laws.test_parts import NEUTRAL, law_4
from tests.laws.test_stack import law_1, law_3, laws_1_to_3
from tests.laws.training import States, data_of, train, training_of
from worker.engine.recorder import EpochResult
from worker.engine.stack import Stack
from worker.spec.families.optimizer import Step
from worker.spec.keys import stack_key
from worker.spec.optimizers.lbfgs import LBFGS
from worker.spec.part import Stacked

HISTORY = 3
BODY: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200, "validation_size": 30},
    "model": {"kind": "mlp", "hidden": [16], "activation": "tanh"},
    "optimizer": {"kind": "lbfgs", "lr": 1.0, "history_size": 2},
    "batch_size": "full",
    "epochs": 7,
}


def convex(x: Tensor) -> Tensor:
    """Return a function of ``x`` (P,) that has its minimum at 0."""
    scales = torch.linspace(0.5, 2, len(x), dtype=x.dtype)
    return (scales * x).cosh().log().sum() + 0.1 * x.sum().square()


def hill(x: Tensor) -> Tensor:
    """Return a function whose curvature is negative around 0."""
    return x.cos().sum() + 0.05 * x.square().sum() + 0.01 * (x[1:] * x[:-1]).sum()


@pytest.mark.slow  # the first step of an optimizer of torch imports its compiler, which takes seconds
@pytest.mark.parametrize(("function", "steps"), [(convex, 40), (hill, 9)])
def test_lbfgs_matches_torch_in_float64(function: Callable[[Tensor], Tensor], steps: int) -> None:
    torch.manual_seed(3)
    start = torch.randn(4, 24, dtype=torch.float64)
    start[3] = 0  # where the gradient is 0
    rates = [1.0, 0.5, 0.2, 1.0]
    part = Stacked([LBFGS(lr=lr, history_size=HISTORY) for lr in rates], device=CPU, dtype=torch.float64)
    w, lr = start.clone(), torch.tensor(rates, dtype=torch.float64).unsqueeze(1)
    state = {name: torch.zeros_like(w) for name in part.parts[0].state_names}
    oracles = [x.clone().requires_grad_() for x in start]
    optimizers = [
        torch.optim.LBFGS([x], lr=rate, max_iter=1, history_size=HISTORY)
        for x, rate in zip(oracles, rates, strict=True)
    ]
    stored = []
    for t in range(1, steps + 1):
        before, newest = w.clone().requires_grad_(), state[f"s{HISTORY - 1}"].clone()
        (g,) = torch.autograd.grad(torch.stack([function(x) for x in before]).sum(), before)
        part.update(Step(w, g, lr, state, t, lambda rows: []))
        stored.append((state[f"s{HISTORY - 1}"] != newest).any(1).tolist())
        for x, optimizer in zip(oracles, optimizers, strict=True):
            optimizer.step(functools.partial(with_gradient, function, x))  # type: ignore[no-untyped-call]
        torch.testing.assert_close(w, torch.stack(oracles).detach(), rtol=1e-6, atol=1e-9)
    assert torch.equal(w[3], start[3])
    assert any(len(set(which[:3])) == 2 for which in stored), "all runs store pairs in the same steps"
    assert torch.equal(w[0], before[0]) == (function is convex), "the first run rests at its minimum"


def with_gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the value of ``function`` at ``x``, whose ``grad`` it sets."""
    x.grad = None
    loss = function(x)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


@pytest.mark.slow
def test_lbfgs_trains_as_torchs_in_float32() -> None:
    rates, body = [0.3, 1.0], {**BODY, "model": {"kind": "linear"}}
    specs = [parsed({**body, "optimizer": {**BODY["optimizer"], "lr": lr}, "seed": i}) for i, lr in enumerate(rates)]
    data = data_of(specs[0])
    x, y = data.batch(torch.arange(len(data))[None])[0], data.y
    training = training_of(specs, data)
    modules = [torch.nn.Linear(64, 10) for _ in rates]
    for k, module in enumerate(modules):
        module.load_state_dict({name: training.stack.tensors(k)[f"layers.0.{name}"] for name in ("weight", "bias")})
    optimizers = [
        torch.optim.LBFGS(module.parameters(), lr=lr, max_iter=1, history_size=2)
        for module, lr in zip(modules, rates, strict=True)
    ]

    def loss_of(module: torch.nn.Module) -> float:
        module.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    for results in training.epochs():
        for result, module, optimizer in zip(results, modules, optimizers, strict=True):
            loss = optimizer.step(functools.partial(loss_of, module))  # type: ignore[no-untyped-call]
            assert result.metrics["train.loss"] == pytest.approx(loss, rel=1e-4)
            tensors = result.stack.tensors(result.position)
            for name, p in module.state_dict().items():
                torch.testing.assert_close(tensors[f"layers.0.{name}"], p, rtol=0, atol=2e-4)


@pytest.mark.slow
def test_laws_hold_for_runs_that_store_different_pairs() -> None:
    rates = (1.0, 0.3, 1e-6, 1e9)
    bodies = [{**BODY, "optimizer": {**BODY["optimizer"], "lr": lr}, "seed": i} for i, lr in enumerate(rates)]
    specs = [parsed(body) for body in bodies]
    assert len({stack_key(spec) for spec in specs}) == 1
    laws_1_to_3(specs, range(len(specs)), 4)
    last = {r.member.run_id: r for results in training_of(specs, data_of(specs[0])).epochs() for r in results}
    *_, overshot = (result.ended for result in last.values())
    assert overshot is not None
    assert overshot.code == "diverged"
    assert [run for run, result in last.items() if stores_pairs(result)] == ["0", "1", "3"]


def stores_pairs(result: EpochResult) -> bool:
    """Return whether a run stores any pair whose change of weights is not 0."""
    tensors = result.stack.tensors(result.position)
    return any(bool(tensor.any()) for name, tensor in tensors.items() if name.startswith("optimizer.s"))


def test_law_3_holds_after_every_epoch_and_detects_pairs_that_are_not_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [parsed({**BODY, "seed": seed, "epochs": 4}) for seed in range(2)]
    states: States = {}
    whole = train(specs, most=MAX_RUNS, states=states)
    for epoch in (1, 2, 3):
        law_3(specs, epoch, whole, states)
    restore = Stack.restore

    def without_pairs(self: Stack, position: int, tensors: Mapping[str, Tensor]) -> None:
        planted = {n: torch.zeros_like(t) if n.startswith("optimizer.s") else t for n, t in tensors.items()}
        restore(self, position, planted)

    monkeypatch.setattr(Stack, "restore", without_pairs)
    with pytest.raises(AssertionError):
        law_3(specs, 3, whole, states)


@pytest.mark.parametrize("kind", ["dropout", "l1", "l2"])
def test_law_4_neutral_part_changes_nothing_beside_lbfgs(kind: str) -> None:
    law_4({**BODY, "epochs": 3}, NEUTRAL[kind])


def test_law_detects_products_over_a_part_of_the_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LBFGS, "couples", False)
    specs = [parsed({**BODY, "seed": seed, "epochs": 2}) for seed in range(2)]
    with pytest.raises(AssertionError):
        law_1(specs, [0])


@pytest.mark.parametrize("wrapped", [False, True])
def test_batches_of_some_rows_are_refused_with_the_number_of_all(wrapped: bool) -> None:
    optimizer = {"kind": "sam", "optimizer": BODY["optimizer"]} if wrapped else BODY["optimizer"]
    assert not list(parsed({**BODY, "optimizer": optimizer, "batch_size": 200}).objections())
    ((place, objection),) = parsed({**BODY, "optimizer": optimizer, "batch_size": 199}).objections()
    assert place == ("batch_size",)
    assert "gradient of all 200 training rows" in objection.message
    assert "'full' or to at least 200" in objection.message
