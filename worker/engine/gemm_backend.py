"""Which library multiplies matrices, and on how many threads: the first way on which laws 1 and 2 hold.

torch sends fp32 GEMMs to MKL, whose bits change with K and the threads unless it runs in strict reproducible mode
(MKL_CBWR). The switch for bfloat16 "precision" sends them to oneDNN instead, which computes in full float32 as long as
it may use no AMX or AVX-512 BF16 instructions (ONEDNN_MAX_CPU_ISA). MKL is the faster one on Intel's processors,
oneDNN on others. Whether a way holds is not believed but probed, on the stack's own shapes: the error against float64,
then the bits of a step at several K and thread counts. The choice is a pure function of CPU, build and shapes; nothing
is timed. On a GPU, products are cuBLAS's, with fixed workspaces and deterministic convolutions; the same probe decides
whether the laws hold there.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from worker.engine.hooks import PlainHooks
from worker.engine.layout import Layout
from worker.engine.rng import row_draws, uniform
from worker.engine.rows import SUBSET_ROWS
from worker.engine.thread_tuner import ThreadTuner
from worker.spec.dense import DenseNetwork
from worker.spec.families.model import CHUNK_ROWS, MICRO_ROWS, HookResult, Model, Network, ParameterViews, Precision
from worker.spec.families.optimizer import Optimizer, Step
from worker.spec.keys import ENGINE_VERSION
from worker.spec.networks.model import LayeredModel
from worker.spec.networks.network import Head, head_of
from worker.spec.optimizers.sgd import SGD
from worker.spec.part import Stacked
from worker.spec.rng import stream_key
from worker.spec.run import RunSpec
from worker.spec.threads import Threads

MAX_ERROR = 1e-6
"""Relative error of a GEMM against float64; float32's own rounding gives about 3e-7."""
MAX_ERROR_TF32 = 2e-3
"""The same for factors rounded to 10 bits, as requested by ``precision``."""
ENVIRONMENT = {
    "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
    "MKL_CBWR": "AUTO,STRICT",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
"""To be set before torch computes anything."""

Library = Literal["onednn", "mkl", "cublas"]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class GemmBackend:
    """How the dense layers of a stack are computed, and what that promises."""

    library: Library
    threads: int
    reproducible: bool
    """Whether the probe found laws 1 and 2 kept."""
    pieces: bool = False
    """Whether some of the model is computed in pieces."""
    tf32: bool = False
    """Whether a GPU rounds the factors of products to TF32."""

    def activate(self) -> None:
        """Make this process compute so from now on."""
        if self.library == "cublas":
            self._activate_gpu()
            return
        Threads(self.threads, self.threads).use()
        torch.backends.mkldnn.matmul.fp32_precision = "bf16" if self.library == "onednn" else "ieee"  # type: ignore[attr-defined] # set up at import

    def _activate_gpu(self) -> None:
        precision = "tf32" if self.tf32 else "ieee"
        torch.backends.cuda.matmul.fp32_precision = precision
        torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined] # set up at import
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False

    def thread_tuner(self, at_work: Callable[[], int] = lambda: 1) -> ThreadTuner:
        """Freedom in the number of threads, where the probe found that bits do not depend on it."""
        varies = self.reproducible and self.library != "cublas"
        return ThreadTuner(self.threads if varies else 1, pieces=self.pieces, at_work=at_work)

    @property
    def determinism_class(self) -> str:
        """Equal classes give equal bits; ``none`` where nothing is promised."""
        if not self.reproducible:
            return "none"
        place = f"cuda/{torch.cuda.get_device_name()}" if self.library == "cublas" else f"cpu/{cpu_model()}"
        return f"{place}/torch-{torch.__version__}/{self.library}/engine-{ENGINE_VERSION}"


@functools.cache
def cpu_model() -> str:
    """The processor's name and instruction set, as the operating system and torch tell them."""
    names = []
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
    return f"{(names or [platform.processor() or platform.machine()])[0]} {torch.backends.cpu.get_cpu_capability()}"


@dataclass(frozen=True)
class Shapes:
    """All of a spec that the bits of its products depend on, besides the number of rows."""

    model: Model
    row: tuple[int, ...]
    outputs: int
    precision: Precision
    optimizer: Optimizer

    @classmethod
    def of(cls, spec: RunSpec) -> Shapes:
        """Return the shapes of ``spec``."""
        data, optimizer = spec.dataset, spec.required_optimizer
        return cls(spec.effective_model, data.shape, data.outputs, spec.precision, optimizer)


def gemm_backend_for(spec: RunSpec, *, threads: int, max_runs: int, device: torch.device = CPU) -> GemmBackend:
    """The backend for stacks of runs like ``spec``, up to ``max_runs`` of them, on at most ``threads`` threads.

    Only CPUs and NVIDIA's GPUs are probed; nothing is promised on other devices.
    """
    if device.type not in ("cpu", "cuda"):
        return GemmBackend(library="mkl", threads=threads, reproducible=False)
    if not spec.model.trains:
        exact = device.type == "cpu"  # in any way of computing
        return GemmBackend(library=_libraries()[0] if exact else "cublas", threads=threads, reproducible=exact)
    # What only a step's numbers depend on is left out, so that runs of the same shapes are probed once.
    own = spec.required_optimizer
    optimizer = own if own.multiplying or own.couples else SGD(lr=0.1)
    model = spec.model.common()  # all runs of a stack must compute in one way
    shapes = Shapes.of(spec.model_copy(update={"optimizer": optimizer, "model": model}))
    return _probed(shapes, _heights(spec), threads, max_runs, device)


def _heights(spec: RunSpec) -> tuple[int, ...]:
    """How many rows go through the model at once, in training and in evaluation, the last ones included."""
    whole, last = spec.batch_rows, spec.dataset.training_rows % spec.batch_rows
    heights = {rows for batch in (whole, last) for rows in (min(batch, MICRO_ROWS), batch % MICRO_ROWS) if rows}
    description = (
        spec.dataset.training_rows if spec.evaluate.train == "full" else min(SUBSET_ROWS, spec.dataset.training_rows)
    )
    evaluated = (description, spec.dataset.validation_rows, spec.dataset.rows[1])
    return tuple(sorted(heights | {CHUNK_ROWS} | {rows % CHUNK_ROWS for rows in evaluated if rows % CHUNK_ROWS}))


@functools.lru_cache(maxsize=256)
def _probed(shapes: Shapes, heights: tuple[int, ...], threads: int, max_runs: int, device: torch.device) -> GemmBackend:
    if device.type == "cuda":
        tf32 = shapes.precision == "tf32"
        backend = GemmBackend(library="cublas", threads=threads, reproducible=True, tf32=tf32)
        if not _holds(backend, shapes, heights, max_runs, device):
            backend = replace(backend, reproducible=False)
        return backend
    for count in dict.fromkeys((threads, 1)):
        for library in _libraries():
            backend = GemmBackend(library, threads=count, reproducible=True, pieces=shapes.model.in_pieces)
            if _holds(backend, shapes, heights, max_runs, device):
                return backend
    return GemmBackend(library="mkl", threads=1, reproducible=False)


def _libraries() -> tuple[Library, ...]:
    """In the order of their speed on this processor's make."""
    return ("mkl", "onednn") if cpu_model().startswith("Intel") else ("onednn", "mkl")


def _holds(backend: GemmBackend, shapes: Shapes, heights: tuple[int, ...], max_runs: int, device: torch.device) -> bool:
    """Whether every run has the same bits alone on one thread and in any stack on the backend's threads."""
    # What rounded dense layers hide of what comes before them, those that round nothing show.
    precisions: tuple[Precision, ...] = (shapes.precision, "float32")
    tried = [replace(shapes, precision=precision) for precision in dict.fromkeys(precisions)]
    return all(_keeps_bits(backend, one, rows, max_runs, device) for rows, one in itertools.product(heights, tried))


@functools.lru_cache(maxsize=4096)
def _keeps_bits(backend: GemmBackend, shapes: Shapes, rows: int, max_runs: int, device: torch.device) -> bool:
    """The same for ``rows`` rows at once. Stacks with other numbers of rows share most of these, such as a chunk."""
    backend.activate()
    trial = Trial(shapes, rows, max_runs, device)
    if trial.error() > (MAX_ERROR_TF32 if backend.tf32 else MAX_ERROR):
        return False
    together = {k: trial.run(0, k) for k in sorted({2, 3, 5, max_runs}) if k <= max_runs}
    for threads in dict.fromkeys((backend.threads, 1)):
        Threads(threads, threads).use()
        for position in sorted({0, min(1, max_runs - 1), max_runs - 1}):
            alone = trial.run(position, position + 1)
            for k, results in together.items():
                if position < k and any(
                    not torch.equal(t[position], a[0]) for t, a in zip(results, alone, strict=True)
                ):
                    return False
    return True


class ActivationRecorder(PlainHooks):
    """Keeps the activations of hidden layers.

    Where the next layer rounds them, another order of their sums is hidden in all but one number of some thousands, and
    one draw of numbers would speak for itself alone.
    """

    def __init__(self) -> None:
        self.activations: list[Tensor] = []

    def __call__(self, a: Tensor, layer: int) -> HookResult:
        """Leave ``a`` as it is."""
        self.activations.append(a.clone())
        return super().__call__(a, layer)


class Trial:
    """A step on made-up numbers, in the shapes of a stack: forward, backward, and an optimizer that multiplies.

    On a CPU only the layers that all runs compute together are tried: the others are computed run by run, in pieces of
    one thread each.
    """

    def __init__(self, shapes: Shapes, rows: int, max_runs: int, device: torch.device = CPU) -> None:
        self.shapes, model = shapes, shapes.model
        self.parameters = model.parameters(shapes.row, shapes.outputs)
        self.weights = {
            name: _noise(f"weights/{name}", max_runs, *size).to(device) for name, size in self.parameters.items()
        }
        self._head: Head | None = None
        width = math.prod(shapes.row)
        if device.type == "cpu" and isinstance(model, LayeredModel):
            steps = model.steps(shapes.row, shapes.outputs)
            self._head = head_of(steps)
            width = math.prod(steps[self._head.begin].input)
        self.x = _noise("x", max_runs, rows, width).to(device)
        self.g = _noise("g", max_runs, rows, shapes.outputs).to(device)

    def run(self, first: int, last: int) -> tuple[Tensor, ...]:
        """Logits, gradients, activations and changed weights of the runs from ``first`` up to ``last``, together."""
        shapes, optimizer = self.shapes, self.shapes.optimizer
        layout = Layout(self.parameters, last - first, joint=optimizer.couples)
        weights = layout.filled({name: noise[first:last] for name, noise in self.weights.items()}, self.x.device)
        gradient = weights.clone()  # as made up as the weights, for parameters of layers that are not tried
        buffer_layout = Layout(shapes.model.buffers(shapes.row), last - first)
        material = ParameterViews(
            layout.views(weights),
            layout.views(gradient),
            buffer_layout.views(buffer_layout.zeros(weights.device).add_(1)),
            shapes.row,
            shapes.precision,
            shapes.outputs,
            row_draws(range(first, last), weights.device),
        )
        network = self._network(material, last - first)
        hidden = ActivationRecorder()
        logits = network.forward(self.x[first:last], hidden).clone()
        network.backward(self.g[first:last])
        results = [logits, *(view.clone() for view in layout.views(gradient).values()), *hidden.activations]
        if optimizer.multiplying:
            stacked = Stacked([optimizer] * (last - first), device=weights.device, dtype=weights.dtype)
            lr = torch.ones((last - first, 1), device=weights.device)
            for block, w, g in zip(layout.blocks, layout.split(weights), layout.split(gradient), strict=True):
                state = {name: torch.zeros_like(w) for name in optimizer.state_names}
                stacked.implementation.update(stacked, Step(w, g, lr, state, 1, block.matrices))
            results += layout.views(weights).values()
        return tuple(results)

    def _network(self, material: ParameterViews, runs: int) -> Network:
        if self._head is not None:
            return DenseNetwork(material, self._head.activation, self._head.names)
        part = Stacked([self.shapes.model] * runs, device=self.x.device, dtype=self.x.dtype)
        return part.implementation.network(part, material)

    def error(self) -> float:
        """Relative error of a product of the inputs' size against float64."""
        x, w = self.x[:1], self.x[:1].transpose(1, 2)
        exact = torch.bmm(x.double(), w.double())
        return float((torch.bmm(x, w).double() - exact).norm() / exact.norm())


def _noise(name: str, *shape: int) -> Tensor:
    """Numbers in [−½, ½), the same in every process."""
    noise = torch.empty(shape)
    for run, own in enumerate(noise):  # one at a time, because drawing takes ten times the memory of the numbers
        own.copy_(uniform(torch.tensor([stream_key(run, "probe", name)]), 0, own.numel()).sub_(0.5).view(own.shape))
    return noise


def limit_instructions() -> None:
    """Keep oneDNN from rounding to bfloat16, and MKL's bits from changing with threads; before torch computes."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
