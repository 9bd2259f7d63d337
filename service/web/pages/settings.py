"""The page of settings: the caller's tokens and webhooks."""

from __future__ import annotations

from typing import get_args

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from service.callers import RANKS
from service.http.dependencies import CallerDep
from service.http.routing import Route
from service.tokens.dependencies import TokensDep
from service.web.pages.runs import FRESH
from service.web.rendering import render
from service.webhooks.dependencies import WebhooksDep
from service.webhooks.event_types import RUN_ENDS, EventPattern

router = APIRouter(include_in_schema=False, route_class=Route)
MAX_LISTED = 200
"""Tokens and webhooks that the page lists at most."""


@router.get("/settings")
def get_settings(caller: CallerDep, tokens: TokensDep, webhooks: WebhooksDep) -> Response:
    """Render the settings."""
    page = render(
        "settings.html",
        caller=caller,
        section="settings",
        tokens=[one for one in tokens.page(limit=MAX_LISTED, after=None).tokens if one.revoked_at is None],
        endpoints=webhooks.endpoints.page(limit=MAX_LISTED, after=None).endpoints,
        scopes=list(RANKS),
        events=get_args(EventPattern),
        default_events=RUN_ENDS,
    )
    return HTMLResponse(page, headers=FRESH)
