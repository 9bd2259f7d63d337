"""Where the time of a training step goes: processor time on one thread, by torch's profiler, as a table of Markdown.

    python -m benchmarks.profile --runs 8 --hidden 128,128 [--library onednn]

``--library`` forces a library for products, so that a processor of one make shows the way that another would take.
The profiler lengthens short operations: compare shares, and take the step's time from the first line.
"""

from __future__ import annotations

from worker.engine.gemm_backend import GemmBackend, limit_instructions

limit_instructions()

import argparse  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402
from collections import defaultdict  # noqa: E402

import torch  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402

from benchmarks.engine import machine  # noqa: E402
from benchmarks.programs.measuring import BATCH, DATASETS  # noqa: E402
from benchmarks.programs.specs import spec  # noqa: E402
from worker.engine.data import Data  # noqa: E402
from worker.engine.progress import Progress  # noqa: E402
from worker.engine.stack import Member, Stack  # noqa: E402

STEPS, REPETITIONS = 40, 5
GROUPS = {
    "products": ("aten::bmm", "aten::baddbmm", "aten::mkldnn_convolution", "aten::convolution_backward"),
    "copies": ("aten::copy_",),
    "update": ("aten::addcmul_",),
    "pooling": ("aten::max_pool2d_with_indices", "aten::max_pool2d_with_indices_backward", "aten::fill_"),
    "gathering and scaling of inputs": ("aten::index_select", "aten::mul_", "aten::add_"),
}


def progress_of(runs: int, hidden: tuple[int, ...], model: str) -> Progress:
    """Return an epoch of ``STEPS`` steps of a stack of ``runs`` runs."""
    specs = [spec(seed=seed, model=model, hidden=hidden, rows=STEPS * BATCH) for seed in range(runs)]
    device = torch.device("cpu")
    data = Data(specs[0].dataset, DATASETS, device)
    return Progress(Stack([Member(str(one.seed), one) for one in specs], device), data, 1)


def train(progress: Progress) -> float:
    """Train for an epoch; return the processor time of a step in milliseconds."""
    progress.steps = 0
    start = time.process_time()
    for t in range(1, STEPS + 1):
        progress.train_step(t)
    progress.losses()
    return (time.process_time() - start) / STEPS * 1e3


def shares(progress: Progress) -> dict[str, float]:
    """Return the milliseconds of a step by group of operations, medians over the steps.

    Medians, because the profiler's clock also runs while other programs have the processor.
    """
    groups = {name: group for group, names in GROUPS.items() for name in names}
    durations: dict[str, list[float]] = defaultdict(list)
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        train(progress)
    for event in recorded.events():
        durations[event.name].append(event.self_cpu_time_total / 1e3)
    spent: dict[str, float] = defaultdict(float)
    for name, values in durations.items():
        calls = max(1, len(values) // STEPS)  # the same ones in every step
        by_call = (statistics.median(values[i::calls]) for i in range(calls))
        spent[groups.get(name, "all other operations")] += sum(by_call) * len(values) / calls / STEPS
    return spent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--hidden", default="128,128")
    parser.add_argument("--model", choices=("mlp", "cnn"), default="mlp")
    parser.add_argument("--library", choices=("mkl", "onednn"), default="mkl")
    options = parser.parse_args()
    GemmBackend(library=options.library, threads=1, reproducible=True).activate()
    progress = progress_of(options.runs, tuple(map(int, options.hidden.split(","))), options.model)
    times = [train(progress) for _ in range(REPETITIONS)]
    spent = shares(progress)
    print(f"{machine('torch')}, {options}: {min(times):.2f} ms per step\n")
    print("| operations | ms | share |\n|---|---|---|")
    for group, milliseconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"| {group} | {milliseconds:.2f} | {milliseconds / sum(spent.values()):.0%} |")


if __name__ == "__main__":
    main()
