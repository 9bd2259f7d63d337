"""Dependencies of routes: the service of reproductions, limited to the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from service.http.dependencies import scoped_to_caller
from service.reproductions.service import Reproductions

ReproductionsDep = Annotated[Reproductions, Depends(scoped_to_caller(Reproductions))]
