"""Dependencies of routes: the service of models, limited to the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from service.http.dependencies import SettingsDep, scoped_to_caller
from service.models.files import ModelFiles
from service.models.service import Models

ModelsDep = Annotated[Models, Depends(scoped_to_caller(Models))]


async def _files(models: ModelsDep, settings: SettingsDep) -> ModelFiles:
    return ModelFiles(models, settings)


FilesDep = Annotated[ModelFiles, Depends(_files)]
