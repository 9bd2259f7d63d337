"""Dependencies of routes: bias and variance, limited to what the caller may see."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from service.bias_variance.service import BiasVariances
from service.http.dependencies import scoped_to_caller

BiasVariancesDep = Annotated[BiasVariances, Depends(scoped_to_caller(BiasVariances))]
