"""Tokens as clients create and see them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from service.callers import RANKS, Caller, Scope
from service.http.bodies import BodyModel
from service.http.names import Label
from service.http.patterns import OWNER
from service.http.timestamps import timestamp
from service.tokens.service import TokenPage
from service.tokens.token import NewToken, Token

EXAMPLE: dict[str, Any] = {"name": "laptop", "owner": "alice", "scopes": ["write"], "max_active_runs": 100}
Owner = Annotated[str, StringConstraints(pattern=OWNER)]


class TokenBody(BodyModel):
    """A token to create."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: Label = Field(description="For display: where the token is used.", examples=["laptop"])
    owner: Owner = Field(
        description="Owner of the runs and studies created with the token. Several tokens may have one owner.",
        examples=["alice"],
    )
    scopes: list[Scope] = Field(
        min_length=1, max_length=3, description="read; write, which includes read; admin, which includes write."
    )
    expires_at: AwareDatetime | None = Field(default=None, description="When the token expires; null: never.")
    max_active_runs: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Unfinished runs that the owner may have when submitting more."
    )

    def new_token(self) -> NewToken:
        """Return the requested token."""
        return NewToken(
            name=self.name,
            owner=self.owner,
            scopes=sorted(set(self.scopes), key=RANKS.__getitem__),
            expires_at=None if self.expires_at is None else self.expires_at.timestamp(),
            max_active_runs=self.max_active_runs,
        )


class TokenView(BaseModel):
    """A token, without its secret, which is not stored."""

    id: str = Field(examples=["tok_01JD3Z6K8Q4V5W7X9Y2B4C6D8E"])
    object: Literal["token"] = "token"
    name: str
    owner: str
    scopes: list[Scope]
    prefix: str = Field(description="Beginning of the secret.", examples=["fw_Zp31Xa"])
    max_active_runs: int | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None = Field(description="To the minute.")
    revoked_at: str | None

    @classmethod
    def of(cls, token: Token) -> TokenView:
        """Return the view of a token."""
        return cls(**_fields(token))


class NewTokenView(TokenView):
    """A new token with its secret."""

    token: str = Field(description="The secret. It is not returned again: only its hash is stored.")

    @classmethod
    def with_secret(cls, token: Token, secret: str) -> NewTokenView:
        """Return the view of a new token."""
        return cls(**_fields(token), token=secret)


def _fields(token: Token) -> dict[str, object]:
    names = ("id", "name", "owner", "scopes", "prefix", "max_active_runs")
    times = ("created_at", "expires_at", "last_used_at", "revoked_at")
    return {
        **{name: getattr(token, name) for name in names},
        **{name: timestamp(getattr(token, name)) for name in times},
    }


class TokenList(BaseModel):
    """A page of tokens, newest first."""

    object: Literal["list"] = "list"
    data: list[TokenView]
    has_more: bool
    next_cursor: str | None = Field(description="Pass it as `after` for the next page.")

    @classmethod
    def of(cls, page: TokenPage) -> TokenList:
        """Return the view of a page."""
        data = [TokenView.of(token) for token in page.tokens]
        return cls(data=data, has_more=page.has_more, next_cursor=page.next_cursor)


class CallerView(BaseModel):
    """The caller: the owner and scopes of the token in use."""

    object: Literal["caller"] = "caller"
    owner: str
    scopes: list[Scope] = Field(description="All scopes, including those that another one includes.")
    token: TokenView | None = Field(description="Null if the request needed no token.")

    @classmethod
    def of(cls, caller: Caller, token: Token | None) -> CallerView:
        """Return the view of a caller."""
        scopes = [scope for scope in RANKS if caller.has(scope)]
        return cls(owner=caller.owner, scopes=scopes, token=None if token is None else TokenView.of(token))
