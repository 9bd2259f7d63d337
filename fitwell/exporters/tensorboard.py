"""Export histories as TensorBoard event files; ``tensorboard --logdir DIRECTORY`` shows a line per run.

TensorBoard stores numbers in single precision.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fitwell.exporters.packages import imported
from fitwell.exporters.points import points
from fitwell.history import History
from fitwell.run import Run


def write(run: Run[Any], history: History, directory: Path) -> Path:
    """Write a run's event file to its own folder in ``directory`` and return the folder.

    Series are named for TensorBoard's groups: ``val.loss`` becomes ``val/loss``. Missing values are skipped.

    Raises:
        NotInstalled: tensorboardX is not installed.
    """
    writers = imported("tensorboardX", "pip install 'fitwell[tensorboard]'")
    target = directory / run.id
    for previous in target.glob("events.out.tfevents.*"):
        previous.unlink()  # a repeated export replaces the line
    rows = list(points(run, history))
    writer = writers.SummaryWriter(str(target))
    with writer:
        writer.add_text(
            "spec", f"```json\n{json.dumps(run.spec, indent=2)}\n```", 0, walltime=rows[0].time if rows else 0
        )
        for point in rows:
            for name, value in point.values.items():
                writer.add_scalar(name, value, point.epoch, walltime=point.time)
    return target
