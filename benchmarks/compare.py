"""How long comparing takes: 1000 runs of 60 epochs and 16 series, in several shapes of study; writes a dated result.

    python -m benchmarks.compare

The worker's part is played through the job source, so that the database holds what a worker would have written; the
answers come over HTTP from a real server.
"""

from __future__ import annotations

import datetime as dt
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from benchmarks.engine import RESULTS, machine
from fitwell.local import LocalServer, free_port
from service.settings import Settings
from service.store.database import open_engine
from service.workers.jobs import Jobs
from worker.ports import Measurement, Outcome, WorkerInfo

RUNS, EPOCHS, ROUNDS = 1000, 60, 7
GOAL_SECONDS = 0.2
SHAPES = {"50 arms × 20 seeds": (50, 20), "8 arms × 125 seeds": (8, 125), "2 arms × 500 seeds": (2, 500)}
SERIES = [f"{split}.{what}" for split in ("train", "val", "test") for what in ("loss", "accuracy", "error")]
SERIES += ["train.objective", "train.loss_eval", "train.accuracy_eval", "train.error_eval", "lr"]
SERIES += ["weights.norm", "weights.zeros"]
QUESTIONS: dict[str, dict[str, Any]] = {
    "compare": {},
    "with two curves": {"curves": ["val.loss", "train.loss_eval"]},
    "by a field of the spec": {"by": "optimizer.lr"},
    "accuracy of the last epoch, with an effect": {"metric": "test.accuracy", "at": "last", "min_effect": 0.01},
}
WORKER = WorkerInfo(worker_id="wrk_bench", host="here", pid=1, devices=("cpu",), details={})


def fill(settings: Settings) -> None:
    """Train everything that is queued, in no time."""
    engine = open_engine(settings)
    work, source = Jobs(engine, settings), np.random.default_rng(0)
    while claims := work.claim(WORKER, limit=32):
        work.started(claims, device="cpu", determinism_class="bench")
        for epoch in range(1, EPOCHS + 1):
            work.record(
                claims,
                [
                    Measurement(
                        run_id=claim.run_id,
                        epoch=epoch,
                        steps=100,
                        metrics=dict(zip(SERIES, source.random(len(SERIES)).tolist(), strict=True)),
                        seconds=0.1,
                        digest=f"{claim.run_id}.{epoch}",
                    )
                    for claim in claims
                ],
            )
        work.finish(claims, [Outcome(run_id=claim.run_id, status="succeeded") for claim in claims])
    engine.dispose()


def body(arms: int, seeds: int) -> dict[str, Any]:
    base = {
        "dataset": {"kind": "digits"},
        "model": {"kind": "mlp", "hidden": [arms]},
        "optimizer": {"kind": "sgd", "lr": 0.1},
        "epochs": EPOCHS,
    }
    return {"base": base, "grid": {"optimizer.lr": [round(0.01 * (i + 1), 2) for i in range(arms)]}, "seeds": seeds}


def main() -> None:
    lines = ["| study | question | ms, median (min–max) | KB | |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="fitwell-") as home:
        settings = Settings(data_dir=Path(home))
        stack = LocalServer({"FITWELL_DATA_DIR": home}, host="127.0.0.1", port=free_port(), workers=0, quiet=True)
        stack.start()
        try:
            with httpx2.Client(base_url=stack.url, timeout=60) as http:
                for shape, (arms, seeds) in SHAPES.items():
                    study = http.post("/v1/studies", json=body(arms, seeds)).raise_for_status().json()
                    fill(settings)
                    for question, params in QUESTIONS.items():
                        lines.append(_row(http, f"/v1/studies/{study['id']}/compare", shape, question, params))
                        print(lines[-1], flush=True)
        finally:
            stack.stop()
    today = dt.datetime.now(dt.UTC).date().isoformat()
    hardware = ", ".join(f"{key} {value}" for key, value in machine("numpy", "scipy", "sqlalchemy").items())
    head = [
        f"# Comparing {RUNS} runs of {EPOCHS} epochs, {today}",
        "",
        f"{hardware}. SQLite; {ROUNDS} requests after one to warm up. Goal: {GOAL_SECONDS * 1000:.0f} ms. "
        "Made by `python -m benchmarks.compare`.",
        "",
    ]
    (RESULTS / f"{today}-compare.md").write_text("\n".join([*head, *lines, ""]))


def _row(http: httpx2.Client, path: str, shape: str, question: str, params: dict[str, Any]) -> str:
    seconds, size = [], 0
    for number in range(ROUNDS + 1):
        start = time.perf_counter()
        size = len(http.get(path, params=params).raise_for_status().content)
        if number:
            seconds.append(time.perf_counter() - start)
    arguments = f"{statistics.median(seconds) * 1e3:.0f} ({min(seconds) * 1e3:.0f}–{max(seconds) * 1e3:.0f})"
    met = "met" if statistics.median(seconds) < GOAL_SECONDS else "not met"
    return f"| {shape} | {question} | {arguments} | {size / 1e3:.0f} | {met} |"


if __name__ == "__main__":
    main()
