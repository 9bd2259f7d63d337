"""Dependencies of routes: the service of datasets, limited to the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from service.api.dependencies import scoped_to_caller
from service.datasets.uploads import Uploads

UploadsOf = Annotated[Uploads, Depends(scoped_to_caller(Uploads))]
