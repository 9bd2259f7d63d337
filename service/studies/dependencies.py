"""Dependencies of routes: the service of studies, limited to the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from service.http.dependencies import scoped_to_caller
from service.studies.service import Studies

StudiesDep = Annotated[Studies, Depends(scoped_to_caller(Studies))]
