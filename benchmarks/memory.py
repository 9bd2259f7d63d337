"""Memory: resident memory of training processes after each stage of their work, and its peak; writes a dated result.

``python -m benchmarks.memory``. The processes are those that a worker starts. They load FashionMNIST, train, evaluate
on training, validation and test rows after every epoch, and write checkpoints. Resident memory counts the pages of
libraries and files in every process that maps them; proportional memory counts each of them once.
"""

from __future__ import annotations

import queue
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.engine import machine
from benchmarks.programs.measuring import DATASETS
from benchmarks.programs.specs import spec
from worker.messages import Ended, Epoch, Halt, Idle, Message, Ready, Started, Train
from worker.ports import Claim
from worker.trainer import Trainer

EPOCHS, ROWS = 2, 50_000
MB = 10**6
REPORT_SECONDS = 600
STAGES: dict[str, type[Message]] = {"imports": Ready, "data": Started, "epoch": Epoch, "end": Idle}
"""The report that ends each stage."""


@dataclass(frozen=True)
class Work:
    """Runs of networks of these widths, in processes of their own."""

    name: str
    hidden: tuple[int, ...]
    runs: int
    """In each process."""
    processes: int
    goal: int | None = None
    """Peak of all processes together, in bytes."""


WORKS = (
    Work("16 small runs, two processes", (128, 128), 8, 2, 900 * MB),
    Work("16 small runs, one process", (128, 128), 16, 1),
    Work("one small run", (128, 128), 1, 1),
    Work("one large run", (1024, 512), 1, 1),
)


class MeasuredProcess:
    """A training process and its memory after each stage, in bytes."""

    def __init__(self, work: Work, checkpoints: Path) -> None:
        self._reports: queue.Queue[Message | None] = queue.Queue()
        options = ("--datasets", DATASETS, "--checkpoints", checkpoints, "--checkpoint-seconds", 1, "--threads", 1)
        self._trainer = Trainer([str(option) for option in options], self._reports)
        self._work = work
        self.resident: dict[str, int] = {}
        self.proportional: dict[str, int] = {}

    def start(self) -> None:
        """Wait for the imports, and send the order to train."""
        self._wait_for("imports")
        work = {"hidden": self._work.hidden, "rows": ROWS, "epochs": EPOCHS, "evaluate": True}
        specs = [spec(seed=seed, **work).model_dump() for seed in range(self._work.runs)]
        claims = (Claim(run_id=f"run_{i}", token="", attempt=1, spec=one) for i, one in enumerate(specs))
        self._trainer.send(Train(claims=tuple(claims), max_runs=max(2, len(specs))))

    def finish(self) -> None:
        """Follow the training to its end, and end the process."""
        for stage in ("data", "epoch", "end"):
            self._wait_for(stage)
        self.resident["peak"] = self._read("status", "VmHWM")
        self._trainer.send(Halt())

    def _wait_for(self, stage: str) -> None:
        """Measure the memory at the end of a stage."""
        while not isinstance(report := self._reports.get(timeout=REPORT_SECONDS), STAGES[stage]):
            assert report is not None, "the training process died"
            assert not isinstance(report, Ended) or all(one.status == "succeeded" for one in report.outcomes), report
        self.resident[stage] = self._read("status", "VmRSS")
        self.proportional[stage] = self._read("smaps_rollup", "Pss")

    def _read(self, file: str, name: str) -> int:
        lines = Path(f"/proc/{self._trainer.pid}/{file}").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def measure(work: Work) -> list[MeasuredProcess]:
    """Train in all processes of the work at once."""
    with tempfile.TemporaryDirectory() as place:
        processes = [MeasuredProcess(work, Path(place)) for _ in range(work.processes)]
        steps: Sequence[Callable[[MeasuredProcess], None]] = (MeasuredProcess.start, MeasuredProcess.finish)
        for step in steps:
            for process in processes:
                step(process)
    return processes


def table(works: Sequence[Work]) -> Iterator[str]:
    """Yield the lines of a table of the memory of each work, summed over its processes."""
    yield "| work | imports | data loaded | first epoch | end | peak | goal of the peak |"
    yield "|---|---|---|---|---|---|---|"
    for work in works:
        processes = measure(work)
        cells = [
            f"{sum(process.resident[stage] for process in processes) / MB:.0f} "
            f"({sum(process.proportional[stage] for process in processes) / MB:.0f})"
            for stage in STAGES
        ]
        peak = sum(process.resident["peak"] for process in processes)
        goal = "" if work.goal is None else f"{work.goal / MB:.0f}: {'met' if peak <= work.goal else 'not met'}"
        yield f"| {work.name} | {' | '.join(cells)} | {peak / MB:.0f} | {goal} |"


def main() -> None:
    rows = list(table(WORKS))
    about = ", ".join(f"{name} {value}" for name, value in machine("torch", "numpy").items())
    lines = [
        "# Memory of training processes, in MB",
        "",
        f"{about}. FashionMNIST, {EPOCHS} epochs with evaluation on 10,000 training, validation and test rows each.",
        "Resident memory, summed over the processes; in brackets proportional memory, which counts pages that several",
        "processes share once. Made by `python -m benchmarks.memory`.",
        "",
        *rows,
        "",
    ]
    today = datetime.now(UTC).date()
    Path(__file__).with_name("results").joinpath(f"{today}-memory.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
