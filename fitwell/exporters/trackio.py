"""Export runs to Trackio's local database; ``trackio show`` displays them.

Exporting a run again replaces it. The times of its points are those of the export, because Trackio sets them.
"""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from fitwell.exporters.packages import imported
from fitwell.exporters.points import points
from fitwell.history import History
from fitwell.run import Run

FOLDER = "TRACKIO_DIR"
RUN_ID = "fitwell/run_id"


def write(run: Run[Any], history: History, directory: Path | None, *, project: str) -> str:
    """Write a run to a project and return the project's folder; without ``directory``, to Trackio's own.

    The spec and the labels are the config, and the study is the group.

    Raises:
        NotInstalled: trackio is not installed.
    """
    if directory is not None:
        os.environ[FOLDER] = str(directory)  # read when it is imported
    trackio = imported("trackio", "pip install trackio")
    with redirect_stdout(sys.stderr):  # the command prints destinations alone
        _delete_previous(trackio, run.id, project)
        target = trackio.init(
            project=project,
            name=run.name or run.id,
            group=run.study_id,
            config={RUN_ID: run.id, "spec": run.spec, "labels": run.labels, "arm": run.arm, "status": run.status},
            auto_log_cpu=False,
            auto_log_gpu=False,
            embed=False,
        )
        for point in points(run, history):
            target.log(point.values, step=point.epoch)
        trackio.finish()
    return str(trackio.utils.TRACKIO_DIR)


def _delete_previous(trackio: Any, run_id: str, project: str) -> None:
    """Delete what an earlier export of the run wrote."""
    api = trackio.Api()
    try:
        runs = list(api.runs(project))
    except ValueError:  # the project does not exist yet
        return
    for previous in runs:
        if (previous.config or {}).get(RUN_ID) == run_id:
            previous.delete()
