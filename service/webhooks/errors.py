"""Errors of webhook endpoints.

NotFound  404  EndpointNotFound, DeliveryNotFound
Conflict  409  EndpointDisabled, TooManyEndpoints
"""

from __future__ import annotations

from service.errors import Conflict, NotFound


class EndpointNotFound(NotFound):
    """No webhook endpoint has this id."""

    code = "webhook_endpoint_not_found"
    title = "Webhook endpoint not found"


class DeliveryNotFound(NotFound):
    """The webhook endpoint has no delivery with this id."""

    code = "webhook_delivery_not_found"
    title = "Webhook delivery not found"


class EndpointDisabled(Conflict):
    """The webhook endpoint is disabled."""

    code = "webhook_endpoint_disabled"
    title = "Webhook endpoint disabled"


class TooManyEndpoints(Conflict):
    """The server has as many webhook endpoints as it accepts."""

    code = "too_many_webhook_endpoints"
    title = "Too many webhook endpoints"
