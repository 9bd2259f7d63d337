"""The parts of webhooks, on one database."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sqlalchemy as sa

from service.callers import Caller
from service.settings import Settings
from service.webhooks.http_post import Post
from service.webhooks.outbox import Outbox
from service.webhooks.sender import Sender
from service.webhooks.service import Endpoints
from service.webhooks.targets import Targets


@dataclass(frozen=True)
class Webhooks:
    """Endpoints, the check of their URLs, and the sender."""

    endpoints: Endpoints
    targets: Targets
    sender: Sender

    def on_behalf_of(self, caller: Caller) -> Webhooks:
        """Return the same, limited to ``caller``."""
        return replace(self, endpoints=self.endpoints.on_behalf_of(caller))

    @classmethod
    def on(cls, engine: sa.Engine, settings: Settings) -> Webhooks:
        """Return webhooks with these settings; the caller starts and closes ``sender``."""
        # Two resolvers: URLs that clients try to register must not delay deliveries.
        registration, delivery = (Targets(allow_private=settings.webhook_allow_private) for _ in range(2))
        return cls(Endpoints(engine, settings), registration, Sender(Outbox(engine), Post(delivery)))
