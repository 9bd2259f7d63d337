"""Routes of tokens: create, list, read, revoke, and the caller's own."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from service.errors import BadCursor, BadRequest, SpecRefused, TooLarge, Unavailable, WrongMediaType
from service.http.bodies import JsonBody
from service.http.dependencies import CallerDep
from service.http.parameters import PageParams
from service.http.problems import problems
from service.http.routing import Route
from service.http.scopes import needs
from service.tokens.dependencies import TokensDep
from service.tokens.errors import TokenNotFound
from service.tokens.schemas import CallerView, NewTokenView, TokenBody, TokenList, TokenView

router = APIRouter(prefix="/v1/tokens", tags=["tokens"], route_class=Route)


@router.post(
    "",
    operation_id="create_token",
    status_code=201,
    openapi_extra=needs("admin"),
    responses=problems(BadRequest, TooLarge, WrongMediaType, SpecRefused, Unavailable),
)
def create_token(body: JsonBody[TokenBody], tokens: TokensDep, response: Response) -> NewTokenView:
    """Create a token. Only this response contains its secret.

    This route has no Idempotency-Key: to replay the response, the server would have to store the secret. The first
    token must be an admin's; from then on every request needs a token.
    """
    token, secret = tokens.create(body.new_token())
    response.headers["location"] = f"/v1/tokens/{token.id}"
    response.headers["cache-control"] = "no-store"
    return NewTokenView.with_secret(token, secret)


@router.get("", operation_id="list_tokens", responses=problems(BadCursor, SpecRefused, Unavailable))
def list_tokens(query: PageParams, tokens: TokensDep) -> TokenList:
    """List the tokens of the caller's owner (an admin sees all), newest first, including revoked ones."""
    return TokenList.of(tokens.page(limit=query.limit, after=query.after))


@router.get("/me", operation_id="get_caller", responses=problems(SpecRefused, Unavailable))
def get_caller(caller: CallerDep, tokens: TokensDep) -> CallerView:
    """Return the caller: the owner and scopes of the token in use."""
    token = None if caller.token_id is None else tokens.get(caller.token_id)
    return CallerView.of(caller, token)


@router.get("/{token_id}", operation_id="get_token", responses=problems(TokenNotFound, SpecRefused, Unavailable))
def get_token(token_id: str, tokens: TokensDep) -> TokenView:
    """Return one token."""
    return TokenView.of(tokens.get(token_id))


@router.delete(
    "/{token_id}",
    operation_id="revoke_token",
    status_code=204,
    responses=problems(TokenNotFound, SpecRefused, Unavailable),
)
def revoke_token(token_id: str, tokens: TokensDep) -> None:
    """Revoke one of the owner's tokens, or any token as an admin; the next request with it is refused.

    An open stream continues until its connection ends. The token stays in the list, and its owner keeps what was
    created with it.
    """
    tokens.revoke(token_id)
