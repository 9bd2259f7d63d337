"""Who asks, and what that lets them do. Whatever is made has an owner: a name, which tokens carry."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Literal, Self

from service.errors import NotOwner

Scope = Literal["read", "write", "admin"]
RANKS: dict[Scope, int] = {"read": 0, "write": 1, "admin": 2}
"""Each scope holds those of a lower rank."""
LOCAL_OWNER = "local"
"""Who owns what is made without a token."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whoever asks, as the token says; settings decide what owners see of each other."""

    owner: str
    scopes: tuple[Scope, ...]
    token_id: str | None = None
    max_active_runs: int | None = None
    """Most runs of this owner that may be unfinished when another is submitted."""
    shares_runs: bool = True
    shares_results: bool = True

    @property
    def is_admin(self) -> bool:
        """Whether everything may be seen and changed."""
        return self.has("admin")

    @property
    def only(self) -> str | None:
        """The owner whose things alone this caller sees; None for everybody's."""
        return None if self.shares_runs or self.is_admin else self.owner

    @property
    def reuses_only(self) -> str | None:
        """The owner whose results alone this caller's runs take over; None for everybody's."""
        return None if self.shares_results else self.owner

    def has(self, scope: Scope) -> bool:
        """Whether one of the scopes is, or holds, this one."""
        return any(RANKS[one] >= RANKS[scope] for one in self.scopes)

    def sees(self, owner: str) -> bool:
        """Whether what belongs to ``owner`` is shown; to others it is as if it were not there."""
        return self.only in (None, owner)

    def check_owns(self, owner: str, what: str) -> None:
        """Refuse a change of ``what``, which belongs to ``owner``, unless it is this caller's own.

        Raises:
            NotOwner: it is another's, and the caller is no admin.
        """
        if owner != self.owner and not self.is_admin:
            raise NotOwner(
                f"{what} belongs to {owner!r} and this token to {self.owner!r}: only its owner or an admin changes it."
            )

    def acting_for(self, owner: str) -> Caller:
        """The same caller, making things that belong to ``owner``."""
        return replace(self, owner=owner)


LOCAL = Caller(owner=LOCAL_OWNER, scopes=("admin",))
"""Whoever holds the database, or reaches a server that is open to its own machine alone."""


class OnBehalf:
    """Rules of things that have owners: they serve ``caller``, who may do everything unless another is named."""

    caller: Caller = LOCAL

    def on_behalf_of(self, caller: Caller) -> Self:
        """The same rules, serving ``caller``."""
        mine = copy.copy(self)
        mine.caller = caller
        return mine
