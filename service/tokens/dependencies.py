"""Dependencies of routes: the service of tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from service.http.dependencies import scoped_to_caller, unscoped
from service.tokens.service import Tokens

TokensDep = Annotated[Tokens, Depends(scoped_to_caller(Tokens))]
UnscopedTokensDep = Annotated[Tokens, Depends(unscoped(Tokens))]
