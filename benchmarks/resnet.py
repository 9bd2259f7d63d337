"""ResNet-20 of the preset beside a plain PyTorch loop: losses from the same weights, rows and augmented images.

    python -m benchmarks.resnet [--rows 256] [--batch-size 64] [--epochs 3] [--rates 0.001 0.1] [--float64]

The engine trains the preset's network at full width on clothes in the shape of CIFAR-10, with crops, flips, momentum
and L2. The loop is written by hand of ``torch.nn`` and ``torch.optim``. Two variants of it add numbers in another
order: their distance to the loop is the noise of float32, with which the engine's distance is compared. ``--float64``
adds a loop in float64, which takes five times as long. Writes a dated result.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.architectures import CPU
from benchmarks.color_images import color_images
from benchmarks.engine import RESULTS, machine
from benchmarks.networks import ResNet20
from service.catalog.presets import preset
from worker.engine.batches import Batches
from worker.engine.data import Data
from worker.engine.gemm_backend import gemm_backend_for, limit_instructions
from worker.engine.stack import Member, Stack
from worker.engine.training import Training
from worker.spec.optimizers.momentum import Momentum
from worker.spec.regularizers.l2 import L2
from worker.spec.run import RunSpec

THREADS = 1
"""Of engine and loops: threads that wait for each other would cost more on a busy machine."""
VALIDATION_ROWS = 100
NOTE = """Differences from the loop, relative. Two other loops show the noise of float32, since only their order of sums
differs: one has the rows of each batch in reverse order, one has images in the format `channels_last`, like the engine.
Noise grows from step to step, and faster at a higher rate. Weights are compared after the last epoch, each difference
relative to the largest weight of its tensor.
"""


Batch = tuple[Tensor, Tensor]
"""Images (N, 3, 32, 32) and labels (N,)."""


class Losses(NamedTuple):
    """Mean losses of an epoch: of its batches as they are trained on, and of the validation rows after it."""

    train: float
    validation: float


class Loop:
    """A training loop in plain PyTorch."""

    def __init__(
        self,
        start: Sequence[Tensor],
        spec: RunSpec,
        *,
        dtype: torch.dtype = torch.float32,
        layout: torch.memory_format = torch.contiguous_format,
        backwards: bool = False,
    ) -> None:
        """``start`` are the parameters in the order of the layers; ``backwards`` reverses the rows of each batch."""
        self._model: nn.Module = ResNet20().to(dtype).to(memory_format=layout)
        self._dtype, self._layout, self._backwards = dtype, layout, backwards
        with torch.no_grad():
            for parameter, values in zip(self._model.parameters(), start, strict=True):
                parameter.copy_(values)
        momentum = cast("Momentum", spec.required_optimizer)
        (l2,) = (part for part in spec.regularizers if isinstance(part, L2))
        self._optimizer = torch.optim.SGD(
            self._model.parameters(), lr=momentum.lr, momentum=momentum.momentum, weight_decay=l2.strength
        )

    def epoch(self, batches: Sequence[Batch], validation: Batch) -> Losses:
        """Train on the batches, then evaluate."""
        self._model.train()
        losses = []
        for x, y in batches:
            loss = self._loss((x.flip(0), y.flip(0)) if self._backwards else (x, y))
            self._optimizer.zero_grad()
            torch.autograd.backward([loss])
            self._optimizer.step()
            losses.append(float(loss.detach()))
        self._model.eval()
        with torch.no_grad():
            return Losses(
                float(np.average(losses, weights=[len(y) for _, y in batches])), float(self._loss(validation))
            )

    def _loss(self, batch: Batch) -> Tensor:
        x, y = batch
        return nn.functional.cross_entropy(self._model(x.to(self._dtype, memory_format=self._layout)), y)

    def weights(self) -> list[Tensor]:
        """Return the parameters in the order of the layers."""
        return [parameter.detach() for parameter in self._model.parameters()]


def run_of(dataset: Mapping[str, Any], rate: float, **changes: Any) -> RunSpec:
    """Return the preset's run on ``dataset`` at this learning rate."""
    body = {name: value for name, value in preset("resnet20").runs["resnet-20"].items() if name != "name"}
    body |= {"dataset": dataset, "optimizer": {**body["optimizer"], "lr": rate}}
    return RunSpec.model_validate_json(json.dumps({**body, "evaluate": {"train": "never", "test": "never"}, **changes}))


def augmented(spec: RunSpec, data: Data, epoch: int) -> list[Batch]:
    """Return the batches of an epoch, augmented by the engine."""
    stack = Stack([Member("images", spec)], CPU)
    assert stack.images is not None
    (order,) = Batches.of(stack, data, epoch).order
    batches = []
    for first in range(0, len(order), spec.batch_rows):
        rows = order[first : first + spec.batch_rows]
        stack.seek(epoch, first, len(rows))
        batches.append((stack.images.batch(data, rows[None]).view(-1, *spec.dataset.shape), data.y[rows]))
    return batches


def comparison(spec: RunSpec, home: Path, others: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a table of the losses of the loop, and of the differences of the engine and of the ``others`` from it.

    The others are loops with other options, by name.
    """
    gemm_backend_for(spec, threads=THREADS, max_runs=1).activate()
    data, stack = Data(spec.dataset, home, CPU), Stack([Member("run", spec)], CPU)
    start = [parameter[0].clone() for parameter in stack.parameters.values()]
    loop, loops = Loop(start, spec), [Loop(start, spec, **options) for options in others.values()]
    validation = data.validation.x.view(-1, *spec.dataset.shape), data.validation.y
    yield f"| epoch | series | loop | engine | {' | '.join(others)} |"
    yield "|---|---|---|---|" + "---|" * len(others)
    for (result,) in Training(stack, data).epochs():
        batches = augmented(spec, data, result.epoch)
        expected = loop.epoch(batches, validation)
        engine = Losses(result.metrics["train.loss"], result.metrics["val.loss"])
        results = [engine, *(other.epoch(batches, validation) for other in loops)]
        for i, series in enumerate(("train.loss", "val.loss")):
            cells = " | ".join(f"{abs(losses[i] / expected[i] - 1):.1e}" for losses in results)
            yield f"| {result.epoch} | {series} | {expected[i]:.6f} | {cells} |"
    final = [[parameter[0] for parameter in stack.parameters.values()], *(other.weights() for other in loops)]
    yield f"| | weights | | {' | '.join(f'{_distance(weights, loop.weights()):.1e}' for weights in final)} |"


def _distance(weights: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Return the largest difference of a number, relative to the largest of its tensor."""
    return max(float((w - e).abs().max() / e.abs().max()) for w, e in zip(weights, expected, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.001, 0.1], help="0.1 is the preset's")
    parser.add_argument("--float64", action="store_true", help="add a loop in float64, five times as slow")
    arguments = parser.parse_args()
    limit_instructions()
    torch.set_num_threads(THREADS)
    today = datetime.now(UTC).date()
    about = ", ".join(f"{name} {value}" for name, value in machine("torch").items())
    lines = [
        f"# ResNet-20 beside a plain PyTorch loop, {today}",
        "",
        f"{about}. Made by `python -m benchmarks.resnet`.",
        f"{arguments.rows} training rows in batches of {arguments.batch_size}, {VALIDATION_ROWS} validation rows.",
        "",
        NOTE,
    ]
    others: dict[str, dict[str, Any]] = {
        "reversed loop": {"backwards": True},
        "channels-last loop": {"layout": torch.channels_last},
    }
    if arguments.float64:
        others["float64 loop"] = {"dtype": torch.float64}
    with tempfile.TemporaryDirectory() as folder:
        dataset = color_images(Path(folder), arguments.rows, VALIDATION_ROWS)
        for rate in arguments.rates:
            lines += [f"## Rate {rate:g}", ""]
            spec = run_of(dataset, rate, batch_size=arguments.batch_size, epochs=arguments.epochs)
            for line in comparison(spec, Path(folder), others):
                lines.append(line)
                print(line, flush=True)
            lines.append("")
    (RESULTS / f"{today}-resnet.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
