"""Dependencies of routes: the service of tokens, limited to the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from service.api.dependencies import scoped_to_caller
from service.tokens.tokens import Tokens

TokensOf = Annotated[Tokens, Depends(scoped_to_caller(Tokens))]
