"""Dependencies of routes: the service of datasets, limited to the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from service.datasets.service import Uploads
from service.http.dependencies import scoped_to_caller

UploadsDep = Annotated[Uploads, Depends(scoped_to_caller(Uploads))]
