"""Law 6: penalties on weights, and products whose sums are exact."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.laws.strategies import CPU
from worker.spec.part import Stacked
from worker.spec.regularizers.group_lasso import GroupLasso
from worker.spec.regularizers.orthogonal import Orthogonal
from worker.spec.regularizers.spectral_norm import SpectralNorm, spectral_norm
from worker.spec.sums import fixed_point


def stacked(*parts: Any) -> Stacked[Any]:
    return Stacked(parts, device=CPU, dtype=torch.float32)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


def test_products_of_fixed_point_matrices_are_near_and_their_sums_exact() -> None:
    a, b = normal(2, 3, 700) * 1e-3, normal(2, 700, 4)
    product = fixed_point(a, 700).times(fixed_point(b, 700))
    exact = torch.bmm(a.double(), b.double())
    assert (product - exact).norm() / exact.norm() < 1e-6
    order = torch.from_numpy(np.random.RandomState(1).permutation(700))
    assert torch.equal(fixed_point(a[..., order], 700).times(fixed_point(b[:, order], 700)), product)
    for terms in (1, 2, 700, 1024, 1025, 5000):
        largest = fixed_point(torch.full((1, 1, terms), -0.3), terms)
        total = sum(Fraction(x) ** 2 for x in largest.whole.flatten().tolist())
        assert total <= 2**53
        assert torch.bmm(largest.whole, largest.transposed.whole).item() == total
        assert largest.whole.abs().max() ** 2 * terms > 2**39


def test_group_lasso_is_the_proximal_step_of_its_penalty() -> None:
    w, lr = normal(2, 5, 9), torch.full((2, 1, 1), 0.1)
    w[:, 0] *= 1e-3
    part, before = stacked(GroupLasso(strength=0.8), GroupLasso(strength=0.0)), w.clone()
    norms = torch.linalg.vector_norm(before, dim=2)
    torch.testing.assert_close(GroupLasso.penalty(part, w).sum((1, 2)), norms.sum(1) * 3 * torch.tensor([0.8, 0.0]))
    GroupLasso.prox(part, w, lr)
    assert torch.equal(w[1], before[1])
    assert torch.equal(w[0, 0], torch.zeros(9))
    # where it is not zero, the step minimizes ½‖x − w‖² + η·λ·√n·‖x‖: its gradient vanishes
    x = w[0, 1:].double().requires_grad_()
    objective = (x - before[0, 1:]).square().sum() / 2 + 0.1 * 0.8 * 3 * torch.linalg.vector_norm(x, dim=1).sum()
    (gradient,) = torch.autograd.grad(objective, x)
    assert gradient.abs().max() < 1e-6


def test_orthogonal_penalty_equals_its_formula_and_autograds_gradient() -> None:
    part = stacked(Orthogonal(strength=0.3), Orthogonal(strength=0.0))
    for shape in ((2, 5, 9), (2, 9, 5), (2, 1, 4)):
        w, g = normal(*shape), torch.ones(shape)
        for k, strength in enumerate((0.3, 0.0)):
            x = w[k].double().requires_grad_()
            smaller = x @ x.T if shape[1] <= shape[2] else x.T @ x
            penalty = strength * (smaller - torch.eye(len(smaller))).square().sum()
            torch.testing.assert_close(Orthogonal.penalty(part, w)[k].sum(), penalty.detach(), rtol=1e-5, atol=0)
            (gradient,) = torch.autograd.grad(penalty, x)
            added = torch.zeros(shape)
            Orthogonal.grad(part, w, added)
            torch.testing.assert_close(added[k].double(), gradient, rtol=1e-5, atol=1e-5)
        Orthogonal.grad(part, w, g)
        assert torch.equal(g[1], torch.ones(shape[1:]))
    w = normal(1, 6, 8)
    for _ in range(300):
        g = torch.zeros_like(w)
        Orthogonal.grad(stacked(Orthogonal(strength=1.0)), w, g)
        w -= 0.02 * g
    torch.testing.assert_close(w[0] @ w[0].T, torch.eye(6), rtol=0, atol=1e-4)


def test_spectral_norm_is_the_largest_singular_value_and_limits_it() -> None:
    w = normal(2, 20, 30)
    singular = torch.linalg.matrix_norm(w.double(), 2)
    torch.testing.assert_close(spectral_norm(w, 100).flatten(), singular, rtol=1e-4, atol=0)
    few = spectral_norm(w, 10).flatten()
    assert (few <= singular).all()
    assert (few > 0.95 * singular).all()
    before = w.clone()
    SpectralNorm.prox(stacked(SpectralNorm(limit=1.5, iterations=100), SpectralNorm(limit=1e30, iterations=100)), w, w)
    torch.testing.assert_close(w[0], before[0] * (1.5 / singular[0]).float(), rtol=1e-4, atol=0)
    assert torch.equal(w[1], before[1])
    SpectralNorm.prox(stacked(SpectralNorm(limit=1e3), SpectralNorm(limit=1e3)), w, w)
    assert torch.equal(w[1], before[1])
    assert spectral_norm(torch.zeros(1, 3, 4), 10).item() == 0
