"""Law 6: optimizers against torch's, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.laws.strategies import CPU
from worker.spec.families.optimizer import Step
from worker.spec.optimizers import KINDS as OPTIMIZERS
from worker.spec.part import Stacked

TORCH: dict[str, tuple[dict[str, Any], Callable[[list[Tensor], float], Any]]] = {
    "sgd": ({}, lambda p, lr: torch.optim.SGD(p, lr=lr)),
    "momentum": ({"dampening": 0.3}, lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, dampening=0.3)),
    "nesterov": ({}, lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True)),
    # w ← w − m with m ← 0.9·m + 0.1·g is torch's momentum with a learning rate of 0.1, whatever one "chooses".
    "sgd_ema": ({}, lambda p, lr: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    "adagrad": ({}, lambda p, lr: torch.optim.Adagrad(p, lr=lr)),
    "rmsprop": ({}, lambda p, lr: torch.optim.RMSprop(p, lr=lr)),
    "adam": ({}, lambda p, lr: torch.optim.Adam(p, lr=lr)),
    "adamw": ({"weight_decay": 0.1}, lambda p, lr: torch.optim.AdamW(p, lr=lr, weight_decay=0.1)),
    "nadam": ({}, lambda p, lr: torch.optim.NAdam(p, lr=lr)),
    "adadelta": ({}, lambda p, lr: torch.optim.Adadelta(p, lr=lr)),
    "adamax": ({}, lambda p, lr: torch.optim.Adamax(p, lr=lr)),
    "radam": (
        {"weight_decay": 0.1},
        lambda p, lr: torch.optim.RAdam(p, lr=lr, weight_decay=0.1, decoupled_weight_decay=True),
    ),
    "lookahead": (
        {"optimizer": {"kind": "adam"}, "period": 4, "alpha": 0.3},
        lambda p, lr: Lookahead(torch.optim.Adam(p, lr=lr), period=4, alpha=0.3),
    ),
    # Its second gradient is the engine's: see test_oracles_sam.py.
    "sam": ({"optimizer": {"kind": "adam"}}, lambda p, lr: torch.optim.Adam(p, lr=lr)),
    "lion": ({"weight_decay": 0.1}, lambda p, lr: Lion(p, lr, weight_decay=0.1)),
}


class Lookahead:
    """Algorithm 1 of Zhang et al. 2019 around an optimizer of torch."""

    def __init__(self, fast: torch.optim.Optimizer, period: int, alpha: float) -> None:
        self.fast, self.period, self.alpha, self.steps = fast, period, alpha, 0
        self.weights = [p for group in fast.param_groups for p in group["params"]]
        self.slow = [p.detach().clone() for p in self.weights]

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter."""
        self.fast.step()
        self.steps += 1
        if self.steps % self.period == 0:
            for p, slow in zip(self.weights, self.slow, strict=True):
                slow.add_(self.alpha * (p - slow))
                p.copy_(slow)


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al. 2023, which torch lacks."""

    def __init__(self, params: list[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter."""
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = 0.9 * m + 0.1 * p.grad
                p.sub_(group["lr"] * (torch.sign(c) + group["weight_decay"] * p))
                m.copy_(0.99 * m + 0.01 * p.grad)


STEPS, STEPS_PER_EPOCH = 300, 7
pytestmark = pytest.mark.slow  # the first step of an optimizer of torch imports its compiler, which takes seconds


def trained(
    kind: str, learning_rates: list[float], settings: dict[str, Any], start: Tensor, gradients: Tensor
) -> Tensor:
    """The weights (2, 50) after all steps; each row is a matrix of 5 × 10."""
    part = OPTIMIZERS[kind]
    bodies: list[dict[str, Any]] = [{"kind": kind, **settings} for _ in learning_rates]
    for body, lr in zip(bodies, learning_rates, strict=True):
        if "optimizer" in settings:
            body["optimizer"] = {**settings["optimizer"], "lr": lr}
        elif "lr" in part.model_fields:
            body["lr"] = lr
    stacked = Stacked([part.model_validate(body) for body in bodies], device=CPU, dtype=torch.float64)
    w, rates = start.clone(), torch.tensor(learning_rates, dtype=torch.float64).unsqueeze(1)
    state = {name: torch.zeros_like(w) for name in stacked.parts[0].state_names}
    for t, g in enumerate(gradients, start=1):
        step = Step(w, g.clone(), rates, state, t, lambda rows: [rows.view(-1, 5, 10)])
        if t % STEPS_PER_EPOCH == 1:
            stacked.enter_training(step)
        stacked.update(step)
        if t % STEPS_PER_EPOCH == 0 or t == len(gradients):
            stacked.enter_evaluation(step)
    return w


def sequence() -> tuple[Tensor, Tensor]:
    """A fixed start (2, 50) and fixed gradients."""
    torch.manual_seed(1)
    return torch.randn(2, 50, dtype=torch.float64), torch.randn(STEPS, 2, 50, dtype=torch.float64)


FORMULAS = {"muon", "schedule_free"}
"""Optimizers that torch lacks, or has in bfloat16 only."""
ELSEWHERE = {"lbfgs"}
"""Optimizers that need the gradients of a function: see test_oracles_lbfgs.py."""


@pytest.mark.parametrize("kind", sorted(set(OPTIMIZERS) - FORMULAS - ELSEWHERE))
def test_optimizer_matches_torch_in_float64(kind: str) -> None:
    assert kind in TORCH, f"{kind} needs an oracle here"
    learning_rates, (start, gradients) = [0.001, 0.03], sequence()
    settings, torchs = TORCH[kind]
    w = trained(kind, learning_rates, settings, start, gradients)
    for k, rate in enumerate(learning_rates):
        p = start[k].clone().requires_grad_()
        optimizer = torchs([p], rate)
        for g in gradients:
            p.grad = g[k].clone()
            optimizer.step()
        torch.testing.assert_close(w[k], p.detach(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("kind", ["adamw", "lion", "muon", "radam"])
def test_decay_on_matrices_exempts_biases(kind: str) -> None:
    bodies = [{"kind": kind, "lr": 0.01, "weight_decay": 0.1, "decay_on": on} for on in ("matrices", "all")]
    start, gradients = sequence()
    weights = []
    for body in [*bodies, {**bodies[1], "weight_decay": 0.0}]:
        stacked = Stacked([OPTIMIZERS[kind].model_validate(body)] * 2, device=CPU, dtype=torch.float64)
        w = start.clone()
        state = {name: torch.zeros_like(w) for name in stacked.parts[0].state_names}
        lr = torch.full((2, 1), 0.01, dtype=torch.float64)
        for t, g in enumerate(gradients[:20], start=1):
            step = Step(w, g.clone(), lr, state, t, lambda rows: [rows[:, :40].view(-1, 5, 8)])
            stacked.implementation.update(stacked, step)
        weights.append(w)
    matrices, everything, none = weights
    assert torch.equal(matrices[:, :40], everything[:, :40])
    assert torch.equal(matrices[:, 40:], none[:, 40:])
    assert not torch.equal(everything[:, 40:], none[:, 40:])


@pytest.mark.parametrize("base", ["sgd", "adamw"])
@pytest.mark.parametrize("warmup", [0, 30])
def test_schedule_free_equals_its_three_sequences(base: str, warmup: int) -> None:
    rates, (start, gradients) = [0.01, 0.1], sequence()
    settings = {"base": base, "warmup_steps": warmup, "weight_decay": 0.1, "beta1": 0.8}
    w = trained("schedule_free", rates, settings, start, gradients)
    for k, rate in enumerate(rates):
        x = z = start[k].clone()
        v, total = torch.zeros_like(x), 0.0
        for t, g in enumerate(gradients[:, k], start=1):
            y = 0.2 * z + 0.8 * x
            v = 0.999 * v + 0.001 * g * g
            direction = g / ((v / (1 - 0.999**t)).sqrt() + 1e-8) if base == "adamw" else g
            eta = rate * min(1.0, t / warmup if warmup else 1.0)
            z = z - eta * (direction + 0.1 * y)
            total += eta**2
            x = x + eta**2 / total * (z - x)
        torch.testing.assert_close(w[k], x, rtol=1e-6, atol=1e-9)


def test_muon_equals_its_formula_and_is_close_to_torchs_in_bfloat16() -> None:
    learning_rates, (start, gradients) = [0.001, 0.01], sequence()
    w = trained("muon", learning_rates, {"weight_decay": 0.1}, start, gradients[:20])
    for k, rate in enumerate(learning_rates):
        p, m = start[k].clone().view(5, 10), torch.zeros(5, 10, dtype=torch.float64)
        q = p.clone().requires_grad_()
        optimizer = torch.optim.Muon([q], lr=rate, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
        for g in gradients[:20]:
            g = g[k].view(5, 10)  # noqa: PLW2901
            m = 0.95 * m + 0.05 * g
            x = 0.05 * g + 0.95 * m
            x = x / x.norm()
            for _ in range(5):
                gram = x @ x.T
                x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
            p = p * (1 - rate * 0.1) - rate * 0.2 * 10**0.5 * x
            q.grad = g.clone()
            optimizer.step()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(w[k].view(5, 10), p, rtol=1e-6, atol=1e-12)
        torch.testing.assert_close(p, q.detach(), rtol=0.02, atol=0.02 * rate * 20)
