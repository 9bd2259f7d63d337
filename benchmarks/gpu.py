"""The engine on a GPU: laws, agreement with the CPU, and epochs beside eager PyTorch; writes a dated result.

    python -m benchmarks.gpu [--device cuda] [--minutes 7] [--scale full|quick] [--results FOLDER]

It needs torch, NumPy, pydantic and safetensors only, and no dataset: rows are random. ``--device cpu --scale quick``
tries it on a machine without a GPU. Epochs of the engine and of eager PyTorch alternate in one process; a ratio is the
median over rounds of eager's time for as many runs, one after the other, over the engine's.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker.engine.gemm_backend import gemm_backend_for, limit_instructions

limit_instructions()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.numpy import save  # noqa: E402
from torch import nn  # noqa: E402

from benchmarks.networks import resnet  # noqa: E402
from worker.engine.data import Data  # noqa: E402
from worker.engine.stack import Member, Stack  # noqa: E402
from worker.engine.training import Training  # noqa: E402
from worker.spec import modules  # noqa: E402
from worker.spec.datasets.uploaded import FOLDER, PREFIX, file_name  # noqa: E402
from worker.spec.networks.model import LayeredModel  # noqa: E402
from worker.spec.run import RunSpec  # noqa: E402

RESULTS = Path(__file__).with_name("results")
CLASSES, LR, ROUNDS = 10, 0.01, 3
MAX_RELATIVE_DIFFERENCE = 1e-3
"""Of a GPU's weights to a CPU's after an epoch of 512 rows."""
Body = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """Runs of one network on random images."""

    name: str
    model: Body
    shape: tuple[int, ...]
    rows: int
    runs: int = 1
    batch: int = 64
    precision: str = "float32"


def works(scale: str) -> tuple[Work, ...]:
    """Return the compared work; ``quick`` has the same kinds with few rows and narrow layers."""
    if scale == "quick":
        small, large, deep = (8, 8), (16, 8), resnet(blocks=1, channels=(4,))
        gray, color, rows, images = (1, 8, 8), (3, 8, 8), 192, 128
    else:
        small, large, deep = (128, 128), (1024, 512), resnet(blocks=3, channels=(16, 32, 64))
        gray, color, rows, images = (1, 28, 28), (3, 32, 32), 60_000, 10_000
    one = Work("one small run", {"kind": "mlp", "hidden": small}, gray, rows)
    return (
        Work("16 small runs", one.model, gray, rows, runs=16),
        one,
        Work("one large run", {"kind": "mlp", "hidden": large}, gray, rows),
        Work("one large run, tf32", {"kind": "mlp", "hidden": large}, gray, rows, precision="tf32"),
        Work("one large run, bfloat16", {"kind": "mlp", "hidden": large}, gray, rows, precision="bfloat16"),
        Work("8 small CNNs", {"kind": "cnn", "channels": (4, 8) if scale == "quick" else (16, 32)}, gray, images, 8),
        Work("ResNet-20", deep, color, images, batch=128),
        Work("4 ResNet-20", deep, color, images, runs=4, batch=128),
    )


def dataset(home: Path, work: Work) -> Body:
    """Write random images into ``home``, and return the dataset as a spec names it."""
    rng = np.random.RandomState(0)
    rows = {"train": work.rows, "test": 64}
    tensors: dict[str, np.ndarray[Any, Any]] = {
        f"{part}_x": rng.randint(256, size=(n, *work.shape)).astype(np.uint8) for part, n in rows.items()
    }
    tensors |= {f"{part}_y": rng.randint(CLASSES, size=n).astype(np.int64) for part, n in rows.items()}
    content = save(tensors)
    sha256 = hashlib.sha256(content).hexdigest()
    (home / FOLDER).mkdir(exist_ok=True)
    (home / FOLDER / file_name(sha256)).write_bytes(content)
    classes = [str(i) for i in range(CLASSES)]
    facts = {"task": "classification", "shape": work.shape, "classes": classes}
    return {
        "kind": "uploaded",
        "id": PREFIX + sha256,
        "content": {**facts, "rows_train": rows["train"], "rows_test": rows["test"]},
    }


def specs(home: Path, work: Work, epochs: int) -> list[RunSpec]:
    """Return the runs of ``work``, which differ in their seeds."""
    body = {
        "dataset": dataset(home, work),
        "model": work.model,
        "optimizer": {"kind": "sgd", "lr": LR},
        "batch_size": work.batch,
        "epochs": epochs,
        "evaluate": {"train": "never", "test": "never"},
        "precision": work.precision,
    }
    return [RunSpec.model_validate_json(json.dumps({**body, "seed": seed})) for seed in range(work.runs)]


def epochs_of(runs: Sequence[RunSpec], home: Path, device: torch.device, max_runs: int = 16) -> Iterator[Stack]:
    """Train ``runs`` as one stack, and yield it after each epoch."""
    gemm_backend_for(runs[0], threads=torch.get_num_threads(), max_runs=max_runs, device=device).activate()
    stack = Stack([Member(str(run.seed), run) for run in runs], device)
    for results in Training(stack, Data(runs[0].dataset, home, device)).epochs():
        yield results[0].stack


def laws(home: Path, device: torch.device, work: Work) -> dict[str, Any]:
    """Compare each run's epoch alone with its epoch in a stack, and say what the engine promises."""
    work = Work(**{**asdict(work), "rows": min(work.rows, 512), "runs": 3})
    runs = specs(home, work, epochs=1)
    backend = gemm_backend_for(runs[0], threads=1, max_runs=len(runs), device=device)
    together = next(epochs_of(runs, home, device, len(runs)))
    differences = []
    for position, run in enumerate(runs):
        alone = next(epochs_of([run], home, device, len(runs))).tensors(0)
        for name, tensor in together.tensors(position).items():
            differences.append(float((tensor - alone[name]).abs().max()))
    return {"work": work.name, "promised": backend.reproducible, "largest_difference": max(differences)}


def agreement(home: Path, device: torch.device, work: Work) -> dict[str, Any]:
    """Compare the weights after an epoch with those of a CPU."""
    work = Work(**{**asdict(work), "rows": min(work.rows, 512), "runs": 1})
    runs = specs(home, work, epochs=1)
    weights, expected = (next(epochs_of(runs, home, place)).tensors(0) for place in (device, torch.device("cpu")))
    distance = sum(float((weights[name].cpu() - expected[name]).square().sum()) for name in expected) ** 0.5
    norm = sum(float(tensor.square().sum()) for tensor in expected.values()) ** 0.5
    return {"work": work.name, "relative_difference": distance / norm}


def eager(home: Path, work: Work, device: torch.device) -> Callable[[], None]:
    """Return an epoch of plain PyTorch: the same network, the data as one tensor on the device."""
    run = specs(home, work, epochs=1)[0]
    assert isinstance(run.model, LayeredModel)
    steps = run.model.steps(run.dataset.shape, run.dataset.outputs)
    network = nn.Sequential(*(eval(s.layer.module(s.input), {"nn": nn, **vars(modules)}) for s in steps))
    network.to(device)
    images = len(steps[0].input) == 3
    if images:
        network.to(memory_format=torch.channels_last)
    data = run.dataset.load(home)
    x = torch.from_numpy(data.train_x).to(device).float().div_(255).view(-1, *steps[0].input)
    x = x.contiguous(memory_format=torch.channels_last) if images else x
    y = torch.from_numpy(data.train_y).to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=LR)

    def epoch() -> None:
        for rows in torch.split(torch.randperm(len(x), device=device), work.batch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return epoch


def timed(epoch: Callable[[], Any], device: torch.device) -> float:
    """Return the seconds of an epoch, the device's work included."""
    start = time.perf_counter()
    epoch()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def speed(home: Path, device: torch.device, work: Work, until: float) -> dict[str, Any]:
    """Time epochs of the engine and of eager PyTorch, which alternate; at least one round."""
    stack = epochs_of(specs(home, work, epochs=ROUNDS + 1), home, device, max(work.runs, 2))
    peer = eager(home, work, device)
    timed(lambda: next(stack), device), timed(peer, device)
    rounds: list[tuple[float, float]] = []
    while len(rounds) < ROUNDS and (not rounds or time.monotonic() < until):
        rounds.append((timed(lambda: next(stack), device), timed(peer, device)))
    return {
        "work": work.name,
        "engine_seconds": statistics.median(own for own, _ in rounds),
        "eager_seconds": statistics.median(other for _, other in rounds) * work.runs,
        "ratio": statistics.median(other * work.runs / own for own, other in rounds),
        "rounds": len(rounds),
    }


def name_of(device: torch.device) -> str:
    """Return the device's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()


def page(result: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    lines = [
        f"# Engine on {result['device']}, {result['date']}",
        "",
        f"torch {result['torch']}, {result['scale']} scale, {result['seconds']:.0f} s in all. Ratios: the time of",
        "eager PyTorch for as many runs, one after the other, over the engine's.",
        "",
        "| work | engine, s an epoch | eager, s | ratio | rounds |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {s['work']} | {s['engine_seconds']:.4f} | {s['eager_seconds']:.4f} | {s['ratio']:.2f} | {s['rounds']} |"
        for s in result["speed"]
    ]
    lines += [
        "",
        "| network | same bits promised | largest difference alone and stacked | relative difference to a CPU |",
    ]
    lines += ["|---|---|---|---|"]
    lines += [
        f"| {law['work']} | {'yes' if law['promised'] else 'no'} | {law['largest_difference']:.1e} "
        f"| {near['relative_difference']:.1e} |"
        for law, near in zip(result["laws"], result["agreement"], strict=True)
    ]
    return "\n".join(lines) + "\n"


def violations(result: dict[str, Any]) -> list[str]:
    """Return the laws that were promised and do not hold, and the networks that differ from a CPU's."""
    broken = [law["work"] for law in result["laws"] if law["promised"] and law["largest_difference"] != 0]
    distances = {near["work"]: near["relative_difference"] for near in result["agreement"]}
    return [
        *(f"{work}: a run's bits depend on its stack" for work in broken),
        *(
            f"{work}: weights differ from a CPU's by {distance:.1e}"
            for work, distance in distances.items()
            if not distance <= MAX_RELATIVE_DIFFERENCE
        ),
    ]


def measured(device: torch.device, scale: str, minutes: float) -> dict[str, Any]:
    """Run everything, in at most about ``minutes``."""
    start = time.monotonic()
    result: dict[str, Any] = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "device": name_of(device),
        "torch": torch.__version__,
        "scale": scale,
        "laws": [],
        "agreement": [],
        "speed": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        compared = works(scale)
        for work in (compared[0], compared[2], compared[5], compared[6]):
            result["laws"].append(laws(home, device, work))
            result["agreement"].append(agreement(home, device, work))
        for number, work in enumerate(compared, 1):
            until = start + 60 * minutes * number / len(compared)
            result["speed"].append(speed(home, device, work, until))
            print(json.dumps(result["speed"][-1]), flush=True)
    return {**result, "seconds": time.monotonic() - start}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the dated result."""
    parser = argparse.ArgumentParser(description="The engine on a GPU: laws, agreement with the CPU, speed.")
    parser.add_argument("--device", default="cuda", type=torch.device)
    parser.add_argument("--minutes", type=float, default=7.0, help="time after which no further round begins")
    parser.add_argument("--scale", choices=("full", "quick"), default="full")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if options.device.type == "cuda" and not torch.cuda.is_available():
        parser.exit(2, "No GPU is available to torch. Try the program with --device cpu --scale quick.\n")
    result = measured(options.device, options.scale, options.minutes)
    name = "".join(c if c.isalnum() else "-" for c in result["device"].lower())
    stem = options.results / f"{result['date']}-gpu-{name}"
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    stem.with_suffix(".md").write_text(page(result))
    print(page(result))
    if failures := violations(result):
        parser.exit(1, "".join(f"{failure}\n" for failure in failures))


if __name__ == "__main__":
    main()
