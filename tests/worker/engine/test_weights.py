"""Metrics of the weights: their bits depend on the weights alone."""

from __future__ import annotations

import pytest
import torch

from tests.conftest import spec
from worker.engine.evaluation import weights_of
from worker.engine.stack import Member, Stack

CPU = torch.device("cpu")


@pytest.mark.parametrize("layers", [1, 6, 13, 19])
def test_norm_of_many_matrices_is_that_of_each_run_alone(layers: int) -> None:
    """Magnitudes differ, so that sums in float64 round."""
    runs = 16
    members = [
        Member(str(seed), spec(seed=seed, model={"kind": "mlp", "hidden": [4] * layers})) for seed in range(runs)
    ]
    stack, singles = Stack(members, CPU), [Stack([member], CPU) for member in members]
    for number, (w, _) in enumerate(stack.matrices):
        w.copy_(torch.randn(w.shape, generator=torch.Generator().manual_seed(number)).mul_(4).exp_())
        for i, single in enumerate(singles):
            single.matrices[number][0].copy_(w[i : i + 1])
    norms, zeros = weights_of(stack)
    alone = [weights_of(single) for single in singles]
    assert (norms.tolist(), zeros.tolist()) == ([n.item() for n, _ in alone], [z.item() for _, z in alone])


def test_norm_is_that_of_all_matrices_together() -> None:
    stack = Stack([Member("a", spec(model={"kind": "mlp", "hidden": [9, 8, 7]}))], CPU)
    together = torch.cat([w.double().flatten() for w, _ in stack.matrices])
    assert weights_of(stack)[0].item() == pytest.approx(together.norm().item(), rel=1e-7)  # squares are float32
