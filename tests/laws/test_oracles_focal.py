"""Focal loss against its formula through autograd, and against cross-entropy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import log_softmax, one_hot

from tests.laws.strategies import CPU, MAX_RUNS, parsed
from tests.laws.test_stack import SMALL
from tests.laws.training import train
from worker.spec.keys import stack_key
from worker.spec.losses.cross_entropy import CrossEntropy
from worker.spec.losses.focal import Focal
from worker.spec.part import Stacked

GAMMAS = [0.0, 0.5, 1.0, 2.0, 5.0]


def stacked(*gammas: float) -> Stacked[Any]:
    return Stacked([Focal(gamma=gamma) for gamma in gammas], device=CPU, dtype=torch.float64)


def sample() -> tuple[Tensor, Tensor, Tensor]:
    """Outputs (K, N, C) from undecided to certain, labels (K, N) and shares (K, N, C)."""
    torch.manual_seed(0)
    shape = len(GAMMAS), 9, 4
    z = torch.randn(shape, dtype=torch.float64) * torch.logspace(-1, 1.4, 9).double().view(1, 9, 1)
    return z, torch.randint(4, shape[:2]), torch.rand(shape, dtype=torch.float64).softmax(2)


@pytest.mark.parametrize("mixed", [False, True])
def test_focal_loss_and_gradient_equal_the_formula(mixed: bool) -> None:
    z, y, shares = sample()
    loss, targets = stacked(*GAMMAS), shares if mixed else None
    z.requires_grad_()
    log_p, gamma = log_softmax(z, 2), torch.tensor(GAMMAS, dtype=torch.float64).view(-1, 1, 1)
    t = shares if mixed else one_hot(y, 4)
    expected = -(t * (1 - log_p.exp()).pow(gamma) * log_p).sum(2)
    (gradient,) = torch.autograd.grad(expected.sum() / 9, z)
    with torch.no_grad():
        predicted = Focal.predict(loss, z)
        torch.testing.assert_close(Focal.loss(loss, predicted, y, targets), expected, rtol=1e-6, atol=1e-12)
        torch.testing.assert_close(Focal.gradient(loss, predicted, y, targets, 9), gradient, rtol=1e-6, atol=1e-9)


def test_focal_loss_of_a_certain_row_is_finite() -> None:
    z = torch.tensor([[[200.0, 0.0], [-200.0, 0.0]]], dtype=torch.float64)
    y, loss = torch.zeros(1, 2, dtype=torch.int64), stacked(2.0)
    predicted = Focal.predict(loss, z)
    torch.testing.assert_close(Focal.loss(loss, predicted, y, None), torch.tensor([[0.0, 200.0]]).double())
    gradient = Focal.gradient(loss, predicted, y, None, 1)
    torch.testing.assert_close(gradient, torch.tensor([[[0.0, 0.0], [-1.0, 1.0]]]).double())


def test_focal_loss_with_gamma_0_is_cross_entropy() -> None:
    z, y, _ = sample()
    predicted, loss = log_softmax(z, 2), stacked(*[0.0] * len(GAMMAS))
    assert torch.equal(Focal.loss(loss, predicted, y, None), CrossEntropy.loss(loss, predicted, y, None))


def test_runs_that_differ_in_gamma_share_a_stack_and_keep_their_bits() -> None:
    body = {**SMALL, "optimizer": {"kind": "adam", "lr": 0.01}}
    losses = [{"kind": "focal", "gamma": gamma, "class_weights": "balanced"} for gamma in (0.5, 2.0, 3.0)]
    specs = [parsed({**body, "seed": i, "loss": loss}) for i, loss in enumerate(losses)]
    assert len({stack_key(spec) for spec in specs}) == 1
    together = train(specs, most=MAX_RUNS)
    for i, spec in enumerate(specs):
        assert train([spec], names=[str(i)], most=MAX_RUNS)[str(i)] == together[str(i)]
