"""Export histories as TensorBoard event files; ``tensorboard --logdir DIRECTORY`` shows a line per run.

TensorBoard stores numbers in single precision.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from fitwell.errors import NotInstalled
from fitwell.exporters.epoch_times import epoch_end_times
from fitwell.history import History
from fitwell.run import Run


def write(run: Run[Any], history: History, directory: Path) -> Path:
    """Write a run's event file to its own folder in ``directory`` and return the folder.

    Series are named for TensorBoard's groups: ``val.loss`` becomes ``val/loss``. Missing values are skipped.

    Raises:
        NotInstalled: tensorboardX is not installed.
    """
    try:
        writers = import_module("tensorboardX")
    except ModuleNotFoundError as error:
        raise NotInstalled(
            "tensorboardX is not installed. Install it with: pip install 'fitwell[tensorboard]'"
        ) from error
    target = directory / run.id
    for previous in target.glob("events.out.tfevents.*"):
        previous.unlink()  # a repeated export replaces the line
    times = epoch_end_times(run, history)
    writer = writers.SummaryWriter(str(target))
    with writer:
        writer.add_text("spec", f"```json\n{json.dumps(run.spec, indent=2)}\n```", 0, walltime=times[0] if times else 0)
        for name, values in history.columns().items():
            if name == "epoch":
                continue
            for epoch, value, time in zip(history.epoch, values, times, strict=True):
                if value is not None:
                    writer.add_scalar(name.replace(".", "/"), value, epoch, walltime=time)
    return target
