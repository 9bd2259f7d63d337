"""Dependencies of routes: the service of webhooks, limited to the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from service.http.dependencies import scoped_to_caller
from service.webhooks.webhooks import Webhooks

WebhooksDep = Annotated[Webhooks, Depends(scoped_to_caller(Webhooks))]
