"""Export runs as offline runs of Weights & Biases; ``wandb sync`` uploads them.

Exporting a run again replaces its folder. Both have the run's id, so a second upload updates the same run.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fitwell.exporters.packages import imported
from fitwell.exporters.points import points
from fitwell.history import History
from fitwell.run import Run


def write(run: Run[Any], history: History, directory: Path, *, project: str) -> Path:
    """Write a run to its own folder in ``directory`` and return the folder.

    The spec is the config, labels are tags, the study is the group and the arm the type of job.

    Raises:
        NotInstalled: wandb is not installed.
    """
    wandb = imported("wandb", "pip install wandb")
    for previous in (directory / "wandb").glob(f"offline-run-*-{run.id}"):
        shutil.rmtree(previous)
    directory.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        x_disable_machine_info=True,  # the machine that exports did not train
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )
    with wandb.init(
        mode="offline",
        dir=str(directory),
        project=project,
        id=run.id,
        name=run.name or run.id,
        group=run.study_id,
        job_type=run.arm,
        config=run.spec,
        tags=[f"{key}:{value}" for key, value in run.labels.items()],
        settings=settings,
    ) as offline:
        for point in points(run, history):
            offline.log({**point.values, "_timestamp": point.time}, step=point.epoch)
        offline.summary.update({"fitwell/status": run.status, "fitwell/spec_hash": run.spec_hash})
        return Path(offline.dir).parent
