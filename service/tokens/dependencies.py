"""Dependencies of routes: the service of tokens, limited to the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from service.http.dependencies import scoped_to_caller
from service.tokens.service import Tokens

TokensDep = Annotated[Tokens, Depends(scoped_to_caller(Tokens))]
