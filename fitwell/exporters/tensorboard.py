"""Histories as TensorBoard event files: ``tensorboard --logdir DIRECTORY`` shows a line for each run.

TensorBoard keeps numbers in single precision.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from fitwell.errors import NotInstalled
from fitwell.exporters.epoch_times import seconds_of
from fitwell.history import History
from fitwell.run import Run


def write(run: Run[Any], history: History, directory: Path) -> Path:
    """Write a run's event file into a folder of its own in ``directory``; the folder.

    Series are named as TensorBoard groups them: ``val.loss`` is ``val/loss``. What was not measured is left out.

    Raises:
        NotInstalled: there is no tensorboardX.
    """
    try:
        writers = import_module("tensorboardX")
    except ModuleNotFoundError as error:
        raise NotInstalled("This needs tensorboardX: pip install 'fitwell[tensorboard]'") from error
    target = directory / run.id
    for old in target.glob("events.out.tfevents.*"):
        old.unlink()  # a second export is not a second line
    times = seconds_of(run, history)
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
