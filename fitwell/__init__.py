"""Fitwell's client: submit training runs, follow them, read their histories.

import fitwell
run = fitwell.Client().runs.create(dataset="digits", model={"kind": "mlp"}, optimizer={"kind": "sgd", "lr": 0.1})
print(run.wait().last)
"""

from fitwell.client import Client
from fitwell.dataset import Dataset
from fitwell.errors import (
    BadRequest,
    Conflict,
    FitwellError,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    Refused,
    RunFailed,
    ServerError,
    TimedOut,
    Unreachable,
)
from fitwell.run import Event, History, Predictions, Run

__all__ = [
    "BadRequest",
    "Client",
    "Conflict",
    "Dataset",
    "Event",
    "FitwellError",
    "History",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "Predictions",
    "Refused",
    "Run",
    "RunFailed",
    "ServerError",
    "TimedOut",
    "Unreachable",
]
