"""Fitwell's client: submit training runs, follow them, read their histories.

import fitwell
run = fitwell.Client().runs.create(dataset="digits", model={"kind": "mlp"}, optimizer={"kind": "sgd", "lr": 0.1})
print(run.wait().last)
"""

from importlib.metadata import version

from fitwell import errors
from fitwell.across import AcrossDatasets
from fitwell.bias_variance import StudyBiasVariance
from fitwell.client import AsyncClient, Client
from fitwell.comparing import compare
from fitwell.comparison import Choice, Comparison, StudyDiagnosis
from fitwell.datasets import Dataset
from fitwell.errors import (
    BadAddress,
    BadRequest,
    Conflict,
    FitwellError,
    Gone,
    Misunderstood,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotInstalled,
    Refused,
    RunFailed,
    ServerError,
    TimedOut,
    TooMany,
    Unreachable,
)
from fitwell.history import History
from fitwell.importance import StudyImportance
from fitwell.learning_curves import LearningCurves
from fitwell.listed import Listed
from fitwell.model_views import Calibration, Predictions
from fitwell.reproductions import AsyncReproduction, Reproduction
from fitwell.run import AsyncRun, Run
from fitwell.run_comparison import RunComparison
from fitwell.run_views import Diagnosis, Event
from fitwell.study import AsyncStudy, Study

__version__: str

__all__ = [
    "AcrossDatasets",
    "AsyncClient",
    "AsyncReproduction",
    "AsyncRun",
    "AsyncStudy",
    "BadAddress",
    "BadRequest",
    "Calibration",
    "Choice",
    "Client",
    "Comparison",
    "Conflict",
    "Dataset",
    "Diagnosis",
    "Event",
    "FitwellError",
    "Gone",
    "History",
    "LearningCurves",
    "Listed",
    "Misunderstood",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "NotInstalled",
    "Predictions",
    "Refused",
    "Reproduction",
    "Run",
    "RunComparison",
    "RunFailed",
    "ServerError",
    "Study",
    "StudyBiasVariance",
    "StudyDiagnosis",
    "StudyImportance",
    "TimedOut",
    "TooMany",
    "Unreachable",
    "__version__",
    "compare",
    "errors",
]


def __getattr__(name: str) -> str:
    """Return ``__version__``, which is in the metadata of the installed package."""
    if name == "__version__":
        return version("fitwell")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
