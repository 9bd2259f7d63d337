"""Law 6: the losses and gradients of distillation against the formulas of its papers."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tests.laws.strategies import CPU, TEACHERS
from worker.spec.part import Stacked
from worker.spec.regularizers.distillation import Distillation

ROWS, CLASSES = 33, 7


def part(**fields: Any) -> Distillation:
    return Distillation.model_validate_json(json.dumps({"teachers": TEACHERS[0], **fields}))


def taught(one: Distillation, z: Tensor, y: Tensor, logits: Tensor, of: int = ROWS) -> tuple[Tensor, Tensor]:
    """D of each row and its gradient, from the part with α = 0 and β = 1, in float64."""
    only = one.model_copy(update={"alpha": 0.0, "beta": 1.0})
    g = torch.zeros_like(z)[None]
    stacked = Stacked([only], device=CPU, dtype=torch.float64)
    loss = Distillation.teach(stacked, z[None], y[None], logits[None], g, of)
    return loss[0], g[0]


def plain(one: Distillation, z: Tensor, y: Tensor, logits: Tensor) -> Tensor:
    """D of each row, written down once more as the papers have it; ``logits`` is (N, T, C)."""
    tau = one.temperature
    if one.method == "logits":
        target = logits.mean(1)
        loss = 0.5 * (z - target).square().sum(1)
    else:
        target = functional.softmax(logits / tau, 2).mean(1)
        if one.mean == "geometric":
            target = functional.softmax((logits / tau).mean(1), 1)
        own = functional.softmax(z / tau, 1)
        loss = -(target * own.log()).sum(1) if one.method == "soft" else decoupled(one, target, own, y)
    return torch.where(target.argmax(1) == y, loss, 0.0) if one.masked else loss


def decoupled(one: Distillation, target: Tensor, own: Tensor, y: Tensor) -> Tensor:
    """Zhao et al. 2022, equations 3 to 7."""
    rows = []
    for p, q, label in zip(target, own, y.tolist(), strict=True):
        others = [c for c in range(len(p)) if c != label]
        b_t, b_s = (torch.stack((x[label], x[others].sum())) for x in (p, q))
        q_t, q_s = (x[others] / x[others].sum() for x in (p, q))
        target, among = ((t * (t / s).log()).sum() for t, s in ((b_t, b_s), (q_t, q_s)))
        rows.append(one.target_weight * target + one.other_weight * among)
    return torch.stack(rows)


FORMS = [
    pytest.param({"method": method, "mean": mean, "masked": masked}, id=f"{method}-{mean}{'-masked' * masked}")
    for method, mean in [
        ("soft", "arithmetic"),
        ("soft", "geometric"),
        ("logits", "arithmetic"),
        ("decoupled", "arithmetic"),
        ("decoupled", "geometric"),
    ]
    for masked in (False, True)
]


@pytest.mark.parametrize("teachers", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_every_method_equals_its_formula_and_autograds_gradient(form: dict[str, Any], teachers: int) -> None:
    torch.manual_seed(3)
    z = (3 * torch.randn(ROWS, CLASSES, dtype=torch.float64)).requires_grad_()
    y, logits = torch.randint(CLASSES, (ROWS,)), 4 * torch.randn(ROWS, teachers, CLASSES, dtype=torch.float64)
    one = part(temperature=2.5, target_weight=0.7, other_weight=3.0, **form)
    loss, g = taught(one, z.detach(), y, logits)
    target = plain(one, z, y, logits)
    (gradient,) = torch.autograd.grad(target.sum() / ROWS, z)
    torch.testing.assert_close(loss, target.detach(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(g, gradient, rtol=1e-9, atol=1e-12)
    if form["masked"]:
        assert 0 < (loss == 0).sum() < ROWS


@given(st.integers(0, 2**31), st.floats(1e3, 1e5))
def test_gradient_approaches_matching_centered_logits_at_high_temperature(seed: int, tau: float) -> None:
    """Hinton, Vinyals and Dean 2015, section 2.1: ∂D/∂z_i → (z_i − v_i) / (C·τ²) where logits have mean zero."""
    generator = torch.Generator().manual_seed(seed)
    z, logits = (5 * torch.randn(ROWS, *more, CLASSES, dtype=torch.float64, generator=generator) for more in ((), (2,)))
    z, logits = z - z.mean(-1, keepdim=True), logits - logits.mean(-1, keepdim=True)
    y = torch.zeros(ROWS, dtype=torch.int64)
    _, matching = taught(part(method="logits"), z, y, logits)
    for mean in ("arithmetic", "geometric"):
        _, soft = taught(part(temperature=tau, mean=mean), z, y, logits)
        off = (soft * CLASSES * tau**2 - matching).abs().max() / matching.abs().max()
        assert off < 100 / tau


def test_decoupled_parts_weighted_by_the_teachers_doubt_equal_the_soft_method() -> None:
    """Zhao et al. 2022, equation 7: KL = TCKD + (1 − p_y)·NCKD; the soft form is that and the teachers' entropy."""
    torch.manual_seed(5)
    z, logits = torch.randn(ROWS, CLASSES, dtype=torch.float64), torch.randn(ROWS, 1, CLASSES, dtype=torch.float64)
    y = torch.randint(CLASSES, (ROWS,))
    soft, _ = taught(part(temperature=2.0), z, y, logits)
    target, _ = taught(part(temperature=2.0, method="decoupled", other_weight=0.0), z, y, logits)
    among, _ = taught(part(temperature=2.0, method="decoupled", target_weight=0.0), z, y, logits)
    p = functional.softmax(logits[:, 0] / 2, 1)
    entropy, doubt = -(p * p.log()).sum(1), 1 - p.gather(1, y[:, None])[:, 0]
    torch.testing.assert_close(soft - entropy, target + doubt * among)


@pytest.mark.parametrize("method", ["soft", "logits", "decoupled"])
def test_certain_teacher_gives_finite_numbers(method: str) -> None:
    logits = torch.full((1, 4, 2, CLASSES), -500.0)
    logits[..., 0] = 500.0
    z, y, g = -logits[:, :, 0].clone(), torch.tensor([[0, 1, 2, 3]]), torch.zeros(1, 4, CLASSES)
    stacked = Stacked([part(method=method, temperature=1.0)], device=CPU, dtype=torch.float32)
    loss = Distillation.teach(stacked, z, y, logits, g, 4)
    assert loss.isfinite().all()
    assert g.isfinite().all()


def test_weights_and_temperatures_are_per_run() -> None:
    torch.manual_seed(7)
    values = [(0.5, 8.0, 4.0), (1.0, 0.5, 4.0), (0.0, 1.0, 1.5)]
    parts = [part(alpha=a, beta=b, temperature=t) for a, b, t in values]
    z, before = torch.randn(3, ROWS, CLASSES, dtype=torch.float64), torch.randn(3, ROWS, CLASSES, dtype=torch.float64)
    y, logits = torch.randint(CLASSES, (3, ROWS)), torch.randn(3, ROWS, 2, CLASSES, dtype=torch.float64)
    g = before.clone()
    loss = Distillation.teach(Stacked(parts, device=CPU, dtype=torch.float64), z, y, logits, g, ROWS)
    for k, (alpha, beta, _) in enumerate(values):
        own, gradient = taught(parts[k], z[k], y[k], logits[k])
        torch.testing.assert_close(g[k], alpha * before[k] + beta * gradient)
        torch.testing.assert_close(loss[k], own)


def test_curriculum_changes_in_even_steps_and_stays_at_its_end() -> None:
    one = part(temperature=10.0, curriculum={"temperature": 1.0, "epochs": 4})
    assert [one.in_epoch(epoch).temperature for epoch in range(1, 7)] == [10.0, 7.0, 4.0, 1.0, 1.0, 1.0]
    assert one.structure() == part(temperature=3.0).structure()
