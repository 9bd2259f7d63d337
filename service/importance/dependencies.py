"""Dependencies of routes: the importance of columns, limited to what the caller may see."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from service.importance.service import Importances
from service.models.dependencies import FilesDep
from service.studies.dependencies import StudiesDep


async def _importances(studies: StudiesDep, files: FilesDep) -> Importances:
    return Importances(studies, files)


ImportancesDep = Annotated[Importances, Depends(_importances)]
