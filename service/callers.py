"""The caller of a request: owner, scopes and quota. Everything that is created has an owner, named by the token."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Literal, Self

from service.errors import NotOwner

Scope = Literal["read", "write", "admin"]
RANKS: dict[Scope, int] = {"read": 0, "write": 1, "admin": 2}
"""A scope includes those of a lower rank."""
LOCAL_OWNER = "local"
"""The owner of everything that is created without a token."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The identity behind a request, and what the settings let it see of other owners."""

    owner: str
    scopes: tuple[Scope, ...]
    token_id: str | None = None
    max_active_runs: int | None = None
    """Quota of unfinished runs of this owner; None is unlimited."""
    shares_runs: bool = True
    shares_results: bool = True

    @property
    def is_admin(self) -> bool:
        """Whether the caller has the admin scope."""
        return self.has("admin")

    @property
    def only(self) -> str | None:
        """The only owner whose resources are visible to this caller; None if all owners' are."""
        return None if self.shares_runs or self.is_admin else self.owner

    @property
    def reuses_only(self) -> str | None:
        """The only owner whose results this caller's runs may reuse; None if all owners' may be."""
        return None if self.shares_results else self.owner

    def has(self, scope: Scope) -> bool:
        """Return whether the caller's scopes include ``scope``."""
        return any(RANKS[one] >= RANKS[scope] for one in self.scopes)

    def sees(self, owner: str) -> bool:
        """Return whether resources of ``owner`` are visible; invisible ones answer 404."""
        return self.only in (None, owner)

    def check_owns(self, owner: str, resource: str) -> None:
        """Refuse to change a resource of another owner, unless the caller is an admin.

        Raises:
            NotOwner: ``resource`` belongs to another owner.
        """
        if owner != self.owner and not self.is_admin:
            raise NotOwner(
                f"{resource} belongs to {owner!r}, and this token to {self.owner!r}. Only the owner or an admin can "
                "change it."
            )

    def acting_for(self, owner: str) -> Caller:
        """Return this caller creating resources for ``owner``."""
        return replace(self, owner=owner)


LOCAL = Caller(owner=LOCAL_OWNER, scopes=("admin",))
"""The caller of processes that open the database themselves, and of requests to a server without tokens."""


class CallerScoped:
    """A service limited to what ``caller`` may see and change; the local admin by default."""

    caller: Caller = LOCAL

    def on_behalf_of(self, caller: Caller) -> Self:
        """Return a copy of the service limited to ``caller``."""
        scoped = copy.copy(self)
        scoped.caller = caller
        return scoped
