"""Dependencies of routes: the services of runs, limited to the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from service.http.dependencies import scoped_to_caller
from service.runs.reader import RunReader
from service.runs.service import Runs

RunsDep = Annotated[Runs, Depends(scoped_to_caller(Runs))]
RunReaderDep = Annotated[RunReader, Depends(scoped_to_caller(RunReader))]
