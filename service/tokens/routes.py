"""Routes of tokens: make, list, read, revoke, and who am I."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import BadCursor, BadRequest, SpecRefused, TooLarge, Unavailable, WrongMediaType
from service.http.bodies import parse, read
from service.http.dependencies import CallerDep, SettingsDep, body_of, only
from service.http.problems import problems
from service.http.scopes import needs
from service.tokens.dependencies import TokensDep
from service.tokens.errors import TokenNotFound
from service.tokens.schemas import CallerView, NewTokenView, TokenBody, TokenList, TokenView

router = APIRouter(prefix="/v1/tokens", tags=["tokens"])
JSON = "application/json"
EXAMPLE = {"name": "laptop", "owner": "alice", "scopes": ["write"], "max_active_runs": 100}


@router.post(
    "",
    operation_id="create_token",
    status_code=201,
    response_model=NewTokenView,
    dependencies=[Depends(only())],
    openapi_extra=body_of("TokenBody", EXAMPLE) | needs("admin"),
    responses=problems(BadRequest, TooLarge, WrongMediaType, SpecRefused, Unavailable),
)
async def create_token(request: Request, tokens: TokensDep, settings: SettingsDep) -> Response:
    """Make a token; the answer alone holds its secret.

    There is no Idempotency-Key here: to repeat the answer, the server would have to keep the secret. The first token
    must be an admin's, and from then on nobody is answered without one.
    """
    new = parse(TokenBody, await read(request, settings.max_body_bytes)).new_token()
    token, secret = await run_in_threadpool(tokens.create, new)
    headers = {"location": f"/v1/tokens/{token.id}", "cache-control": "no-store"}
    return Response(NewTokenView.with_secret(token, secret).model_dump_json(), 201, headers, JSON)


@router.get(
    "",
    operation_id="list_tokens",
    response_model=TokenList,
    dependencies=[Depends(only("limit", "after"))],
    responses=problems(BadCursor, SpecRefused, Unavailable),
)
def list_tokens(
    tokens: TokensDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    after: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
) -> Response:
    """The tokens of the caller's owner, for an admin those of everybody, newest first; revoked ones too."""
    return Response(TokenList.of(tokens.page(limit=limit, after=after)).model_dump_json(), media_type=JSON)


@router.get(
    "/me",
    operation_id="get_caller",
    response_model=CallerView,
    dependencies=[Depends(only())],
    responses=problems(SpecRefused, Unavailable),
)
def get_caller(caller: CallerDep, tokens: TokensDep) -> Response:
    """Who asks: whose token it is, and what it may do."""
    token = None if caller.token_id is None else tokens.get(caller.token_id)
    return Response(CallerView.of(caller, token).model_dump_json(), media_type=JSON)


@router.get(
    "/{token_id}",
    operation_id="get_token",
    response_model=TokenView,
    dependencies=[Depends(only())],
    responses=problems(TokenNotFound, SpecRefused, Unavailable),
)
def get_token(token_id: str, tokens: TokensDep) -> Response:
    """One token."""
    return Response(TokenView.of(tokens.get(token_id)).model_dump_json(), media_type=JSON)


@router.delete(
    "/{token_id}",
    operation_id="revoke_token",
    status_code=204,
    dependencies=[Depends(only())],
    responses=problems(TokenNotFound, SpecRefused, Unavailable),
)
def revoke_token(token_id: str, tokens: TokensDep) -> Response:
    """Revoke a token of the caller's owner, or for an admin anybody's: the next request with it is refused.

    A stream that is open goes on until its connection ends. The token stays in the list, and what was made with it
    stays its owner's.
    """
    tokens.revoke(token_id)
    return Response(status_code=204)
