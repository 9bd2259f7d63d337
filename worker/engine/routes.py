"""Which library multiplies matrices, and on how many threads: the first way on which laws 1 and 2 hold.

fp32 GEMMs of torch go to MKL, whose bits change with K and the threads on ordinary shapes. The switch for bfloat16
"precision" sends them to oneDNN instead, which computes in full float32 as long as it may use no AMX or AVX-512 BF16
instructions; the training process sees to that with ONEDNN_MAX_CPU_ISA. Whether it holds is not believed but probed,
on the stack's own shapes: the error against float64, then the bits of a forward and backward pass at several K and
thread counts. The choice is a pure function of CPU, build and shapes; nothing is timed.
"""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from worker.engine.evaluation import CHUNK_ROWS
from worker.engine.stack import Layout
from worker.engine.streams import stream_key, uniform
from worker.spec.part import Stacked
from worker.spec.run import ENGINE_VERSION, RunSpec

MOST_ERROR = 1e-6
"""Relative error of a GEMM against float64; float32's own rounding gives about 3e-7."""
ISA_VARIABLE, ISA_LIMIT = "ONEDNN_MAX_CPU_ISA", "AVX512_CORE"
"""To be set before torch is imported."""

Library = Literal["onednn", "mkl"]


@dataclass(frozen=True)
class Route:
    """How the dense layers of a stack are computed, and what that promises."""

    library: Library
    threads: int
    holds: bool
    """Whether the probe found laws 1 and 2 kept."""

    def enter(self) -> None:
        """Make this process compute so from now on."""
        torch.set_num_threads(self.threads)
        torch.backends.mkldnn.matmul.fp32_precision = "bf16" if self.library == "onednn" else "ieee"  # type: ignore[attr-defined] # set up at import

    @property
    def determinism_class(self) -> str:
        """Equal classes give equal bits; ``none`` where nothing is promised."""
        if not self.holds:
            return "none"
        return f"cpu/{cpu_model()}/torch-{torch.__version__}/{self.library}/engine-{ENGINE_VERSION}"


@functools.cache
def cpu_model() -> str:
    """The processor's name and instruction set, as the operating system and torch tell them."""
    names = []
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
    return f"{(names or [platform.processor() or platform.machine()])[0]} {torch.backends.cpu.get_cpu_capability()}"


def route_for(spec: RunSpec, *, threads: int, most_runs: int) -> Route:
    """The route for stacks of runs like ``spec``, up to ``most_runs`` of them, on at most ``threads`` threads."""
    batch = min(spec.batch_size, spec.dataset.training_rows)
    heights = {batch, spec.dataset.training_rows % batch or batch, CHUNK_ROWS}
    key = spec.model_copy(update={"seed": 0, "regularizers": (), "stop": (), "epochs": 1})
    return _probed(key.model_dump_json(), tuple(sorted(heights)), threads, most_runs)


@functools.lru_cache(maxsize=256)
def _probed(spec_json: str, heights: tuple[int, ...], threads: int, most_runs: int) -> Route:
    spec = RunSpec.model_validate_json(spec_json)
    for count in dict.fromkeys((threads, 1)):
        for library in ("onednn", "mkl"):
            route = Route(library=library, threads=count, holds=True)
            if _holds(route, spec, heights, most_runs):
                return route
    return Route(library="mkl", threads=1, holds=False)


def _holds(route: Route, spec: RunSpec, heights: tuple[int, ...], most_runs: int) -> bool:
    """Whether every run has the same bits alone on one thread and in any stack on the route's threads."""
    for rows in heights:
        route.enter()
        if _error(spec, rows) > MOST_ERROR:
            return False
        together = {k: _pass(spec, rows, range(k)) for k in sorted({2, 3, 5, most_runs}) if k <= most_runs}
        for threads in dict.fromkeys((route.threads, 1)):
            torch.set_num_threads(threads)
            for position in sorted({0, 1, most_runs - 1}):
                alone = _pass(spec, rows, [position])
                for k, results in together.items():
                    if position < k and any(
                        not torch.equal(t[position], a[0]) for t, a in zip(results, alone, strict=True)
                    ):
                        return False
    return True


def _pass(spec: RunSpec, rows: int, seeds: range | list[int]) -> list[Tensor]:
    """Logits and gradients of one forward and backward pass on made-up numbers, a run for each of ``seeds``."""
    shape, classes = spec.dataset.shape, len(spec.dataset.classes)
    layout = Layout(spec.model.parameters(shape, classes))
    weights, x, g = (_noise(seeds, name, size) for name, size in _sizes(layout, rows, spec))
    gradient = torch.zeros_like(weights)
    part = Stacked([spec.model] * len(seeds), device=weights.device, dtype=torch.float32)
    network = part.maths.network(part, layout.views(weights), layout.views(gradient))
    logits = network.forward(x.view(len(seeds), rows, -1)).clone()
    network.backward(g.view(len(seeds), rows, classes))
    return [logits, gradient]


def _sizes(layout: Layout, rows: int, spec: RunSpec) -> Iterator[tuple[str, int]]:
    width = 1
    for length in spec.dataset.shape:
        width *= length
    yield "weights", layout.width
    yield "x", rows * width
    yield "g", rows * len(spec.dataset.classes)


def _noise(seeds: range | list[int], name: str, count: int) -> Tensor:
    keys = torch.tensor([stream_key(seed, "probe", name) for seed in seeds])
    return uniform(keys, 0, count).sub_(0.5)


def _error(spec: RunSpec, rows: int) -> float:
    """Relative error of the first layer's GEMM against float64."""
    width = 1
    for length in spec.dataset.shape:
        width *= length
    x = _noise([0], "x", rows * width).view(1, rows, width)
    w = _noise([0], "w", 64 * width).view(1, width, 64)
    exact = torch.bmm(x.double(), w.double())
    return float((torch.bmm(x, w).double() - exact).norm() / exact.norm())


def limit_instructions() -> None:
    """Keep oneDNN from rounding to bfloat16; must run before torch computes anything."""
    os.environ.setdefault(ISA_VARIABLE, ISA_LIMIT)
