"""Tokens as clients ask for them and see them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from service.callers import RANKS, Caller, Scope
from service.http.names import Label
from service.runs.schemas import timestamp
from service.tokens.service import TokenPage
from service.tokens.token import NewToken, Token

Owner = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$")]


class TokenBody(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Label = Field(description="For people: where it is used.", examples=["laptop"])
    owner: Owner = Field(
        description="Whose runs and studies are made with it. Several tokens may have one owner.", examples=["alice"]
    )
    scopes: list[Scope] = Field(
        min_length=1, max_length=3, description="read; write, which holds read; admin, which holds write."
    )
    expires_at: AwareDatetime | None = Field(default=None, description="From when on it is worth nothing; null: never.")
    max_active_runs: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Most runs that its owner may have unfinished when submitting."
    )

    def new_token(self) -> NewToken:
        """The token that is asked for."""
        return NewToken(
            name=self.name,
            owner=self.owner,
            scopes=sorted(set(self.scopes), key=RANKS.__getitem__),
            expires_at=None if self.expires_at is None else self.expires_at.timestamp(),
            max_active_runs=self.max_active_runs,
        )


class TokenView(BaseModel):
    """A token, without its secret, which is kept nowhere."""

    id: str = Field(examples=["tok_01JD3Z6K8Q4V5W7X9Y2B4C6D8E"])
    object: Literal["token"] = "token"
    name: str
    owner: str
    scopes: list[Scope]
    prefix: str = Field(description="How the secret begins.", examples=["fw_Zp31Xa"])
    max_active_runs: int | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None = Field(description="To the minute.")
    revoked_at: str | None

    @classmethod
    def of(cls, token: Token) -> TokenView:
        """The token as it is shown."""
        return cls(**_shown(token))


class NewTokenView(TokenView):
    """A token that was made just now, with its secret."""

    token: str = Field(description="The secret. It is shown this once: only its hash is stored.")

    @classmethod
    def with_secret(cls, token: Token, secret: str) -> NewTokenView:
        """The token and its secret as they are shown."""
        return cls(**_shown(token), token=secret)


def _shown(token: Token) -> dict[str, object]:
    same = ("id", "name", "owner", "scopes", "prefix", "max_active_runs")
    times = ("created_at", "expires_at", "last_used_at", "revoked_at")
    return {
        **{name: getattr(token, name) for name in same},
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
        """The page as it is shown."""
        shown = [TokenView.of(token) for token in page.tokens]
        return cls(data=shown, has_more=page.has_more, next_cursor=page.next_cursor)


class CallerView(BaseModel):
    """Who asks."""

    object: Literal["caller"] = "caller"
    owner: str
    scopes: list[Scope] = Field(description="All of them, those that another holds included.")
    token: TokenView | None = Field(description="Null where no token is needed.")

    @classmethod
    def of(cls, caller: Caller, token: Token | None) -> CallerView:
        """The caller as it is shown."""
        scopes = [scope for scope in RANKS if caller.has(scope)]
        return cls(owner=caller.owner, scopes=scopes, token=None if token is None else TokenView.of(token))
