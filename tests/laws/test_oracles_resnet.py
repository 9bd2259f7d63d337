"""A residual network for small images against a plain PyTorch loop on the same batches: He et al. 2016, section 4.2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.networks import resnet
from tests.laws.strategies import CPU, HOME, parsed
from worker.engine.data import Data
from worker.engine.progress import Progress
from worker.engine.stack import Member, Stack
from worker.spec import modules
from worker.spec.datasets.cifar10 import CIFAR10
from worker.spec.families.dataset import Arrays
from worker.spec.families.model import Hidden
from worker.spec.networks.model import LayeredModel
from worker.spec.networks.network import LayerNetwork
from worker.spec.run import RunSpec

RUN: dict[str, Any] = {
    "dataset": {"kind": "cifar10", "train_size": 80, "validation_size": 20},
    "model": resnet(3, (2, 4, 8)),
    "regularizers": [{"kind": "crop", "padding": 4}, {"kind": "horizontal_flip"}],
    "optimizer": {"kind": "momentum", "lr": 0.002},
    "batch_size": 40,
    "epochs": 3,
}
"""ResNet-20 with an eighth of its channels. Pieces have 32 and 8 rows."""


def random_images(home: Any) -> Arrays:
    """Return random arrays in the shapes of CIFAR-10."""
    rng = np.random.RandomState(0)
    parts = [
        (rng.randint(256, size=(rows, 3, 32, 32)).astype(np.uint8), rng.randint(10, size=rows)) for rows in (100, 8)
    ]
    return Arrays(*parts[0], *parts[1])


class Plain(nn.Module):
    """The modules of a run's layers, by the names of its tensors."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__()
        assert isinstance(spec.model, LayeredModel)
        steps = spec.model.steps(spec.dataset.shape, spec.dataset.outputs)
        built = [eval(step.layer.module(step.input), {"nn": nn, **vars(modules)}) for step in steps]
        self.layers, self.output = nn.Sequential(*built[:-1]), built[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of rows (N, D)."""
        logits: Tensor = self.output(self.layers(x.view(-1, *CIFAR10.shape)))
        return logits


@pytest.mark.slow
def test_residual_network_has_the_loss_curve_of_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop is in float64: rounding grows from step to step in so deep a network, in torch's float32 faster."""
    monkeypatch.setattr(CIFAR10, "load", staticmethod(random_images))
    spec, batches = parsed(RUN), list[Tensor]()
    stack, data = Stack([Member("0", spec)], CPU), Data(spec.dataset, HOME, CPU)
    plain = Plain(spec)
    own = {name: tensor.clone() for name, tensor in stack.tensors(0).items() if not name.startswith("optimizer.")}
    assert plain.load_state_dict(own, strict=False).unexpected_keys == []
    assert {name for name in plain.state_dict() if not name.endswith("num_batches_tracked")} == set(own)
    plain.double()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.002, momentum=0.9)
    forward = LayerNetwork.forward

    def recording(self: LayerNetwork, x: Tensor, hidden: Hidden) -> Tensor:
        batches.append(x[0].clone())
        return forward(self, x, hidden)

    monkeypatch.setattr(LayerNetwork, "forward", recording)
    for epoch in (1, 2, 3):
        progress, losses = Progress(stack, data, epoch), list[float]()
        for t in progress.remaining_steps:
            chosen = progress.batches.order[0, progress.rows : progress.rows + 40]
            progress.train_step(t)
            loss = nn.functional.cross_entropy(plain(batches[-1].double()), data.y[chosen])
            optimizer.zero_grad()
            torch.autograd.backward([loss])
            optimizer.step()
            losses.append(float(loss.detach()))
        assert float(progress.losses()[0][0]) == pytest.approx(sum(losses) / 2, rel=1e-4)
    assert len(batches) == 6
    for name in own:
        torch.testing.assert_close(stack.tensors(0)[name].double(), plain.state_dict()[name], rtol=1e-2, atol=1e-3)
