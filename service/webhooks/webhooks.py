"""All that webhooks are made of, on one database."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sqlalchemy as sa

from service.callers import Caller
from service.settings import Settings
from service.webhooks.outbox import Outbox
from service.webhooks.sender import Sender
from service.webhooks.sending import Post
from service.webhooks.service import Endpoints
from service.webhooks.targets import Targets


@dataclass(frozen=True)
class Webhooks:
    """Endpoints, the rule for where they may be, and who sends to them."""

    endpoints: Endpoints
    targets: Targets
    sender: Sender

    def on_behalf_of(self, caller: Caller) -> Webhooks:
        """The same, serving ``caller``."""
        return replace(self, endpoints=self.endpoints.on_behalf_of(caller))

    @classmethod
    def on(cls, engine: sa.Engine, settings: Settings) -> Webhooks:
        """Webhooks as the settings want them; ``sender`` is to be started and closed."""
        asked, sent = (Targets(allow_private=settings.webhook_allow_private) for _ in range(2))
        # Two, each with its own lookups: URLs that somebody tries to register shall not hold up what is sent.
        return cls(Endpoints(engine, settings), asked, Sender(Outbox(engine), Post(sent)))
