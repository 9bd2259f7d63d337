"""Dependencies of routes: the services of runs, limited to the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from service.http.dependencies import scoped_to_caller
from service.runs.reader import RunReader
from service.runs.service import Runs

RunsOf = Annotated[Runs, Depends(scoped_to_caller(Runs))]
RecordsOf = Annotated[RunReader, Depends(scoped_to_caller(RunReader))]
