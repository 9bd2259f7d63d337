"""Routes of webhook endpoints: create, list, read, change, delete, test, and their deliveries."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import BadCursor, BadRequest, KeyReused, SpecRefused, TooLarge, Unavailable, WrongMediaType
from service.http.bodies import JsonBody
from service.http.idempotency import IdempotencyKey, created
from service.http.parameters import Cursor, Limit, PageParams, QueryModel
from service.http.problems import problems
from service.http.routing import Route
from service.webhooks.bodies import EndpointBody, EndpointChangeBody
from service.webhooks.dependencies import WebhooksDep
from service.webhooks.endpoint import DeliveryStatus
from service.webhooks.errors import DeliveryNotFound, EndpointDisabled, EndpointNotFound, TooManyEndpoints
from service.webhooks.schemas import DeliveryList, DeliveryView, EndpointList, EndpointSecretView, EndpointView

router = APIRouter(prefix="/v1/webhook_endpoints", tags=["webhooks"], route_class=Route)


class DeliveryListQuery(QueryModel):
    """Filter and page of an endpoint's deliveries."""

    status: DeliveryStatus | None = Field(default=None, description="Only deliveries with this status.")
    limit: Limit = 20
    after: Cursor = None


@router.post(
    "",
    operation_id="create_webhook_endpoint",
    status_code=201,
    response_model=EndpointSecretView,
    responses=problems(BadRequest, TooManyEndpoints, TooLarge, WrongMediaType, SpecRefused, KeyReused, Unavailable),
)
async def create_webhook_endpoint(body: JsonBody[EndpointBody], key: IdempotencyKey, webhooks: WebhooksDep) -> Response:
    """Send events from now on to a URL, as signed POST requests (Standard Webhooks).

    Only this response contains the secret. The host must resolve to addresses on the internet only; it is resolved
    and checked again at every attempt. Every message is delivered at least once, in no particular order, with the
    same `webhook-id` at every attempt.
    """
    endpoint = body.new_endpoint()
    await webhooks.targets.resolved(endpoint.url)
    stored = await run_in_threadpool(webhooks.endpoints.create, endpoint, render=EndpointSecretView.render, key=key)
    return created(stored, "/v1/webhook_endpoints")


@router.get("", operation_id="list_webhook_endpoints", responses=problems(BadCursor, SpecRefused, Unavailable))
def list_webhook_endpoints(query: PageParams, webhooks: WebhooksDep) -> EndpointList:
    """List webhook endpoints, newest first."""
    return EndpointList.of(webhooks.endpoints.page(limit=query.limit, after=query.after))


@router.get(
    "/{endpoint_id}",
    operation_id="get_webhook_endpoint",
    responses=problems(EndpointNotFound, SpecRefused, Unavailable),
)
def get_webhook_endpoint(endpoint_id: str, webhooks: WebhooksDep) -> EndpointView:
    """Return one webhook endpoint, without its secret."""
    return EndpointView.of(webhooks.endpoints.get(endpoint_id))


@router.patch(
    "/{endpoint_id}",
    operation_id="change_webhook_endpoint",
    responses=problems(EndpointNotFound, BadRequest, TooLarge, WrongMediaType, SpecRefused, Unavailable),
)
async def change_webhook_endpoint(
    endpoint_id: str, body: JsonBody[EndpointChangeBody], webhooks: WebhooksDep
) -> EndpointView:
    """Change a webhook endpoint; fields left out keep their values.

    A disabled endpoint gets no new messages. Messages that were pending wait until it is enabled again.
    """
    changes = body.model_dump(exclude_unset=True)
    if "url" in changes:
        await webhooks.targets.resolved(body.url)
    return EndpointView.of(await run_in_threadpool(webhooks.endpoints.change, endpoint_id, changes))


@router.delete(
    "/{endpoint_id}",
    operation_id="delete_webhook_endpoint",
    status_code=204,
    responses=problems(EndpointNotFound, SpecRefused, Unavailable),
)
def delete_webhook_endpoint(endpoint_id: str, webhooks: WebhooksDep) -> None:
    """Delete a webhook endpoint, its log and its pending messages."""
    webhooks.endpoints.delete(endpoint_id)


@router.post(
    "/{endpoint_id}/rotate_secret",
    operation_id="rotate_webhook_secret",
    responses=problems(EndpointNotFound, SpecRefused, Unavailable),
)
def rotate_webhook_secret(endpoint_id: str, webhooks: WebhooksDep) -> EndpointSecretView:
    """Replace the secret. Only this response contains the new one; for a day, messages are signed with both."""
    return EndpointSecretView.of(webhooks.endpoints.rotate(endpoint_id))


@router.post(
    "/{endpoint_id}/test",
    operation_id="test_webhook_endpoint",
    responses=problems(EndpointNotFound, DeliveryNotFound, SpecRefused, Unavailable),
)
async def test_webhook_endpoint(endpoint_id: str, webhooks: WebhooksDep) -> DeliveryView:
    """Send a signed `webhook.test` once, now, and return the result; this also works for a disabled endpoint."""
    due = await webhooks.sender.send_test(partial(webhooks.endpoints.test, endpoint_id))
    delivery = await run_in_threadpool(webhooks.endpoints.delivery, endpoint_id, due.message.id)
    return DeliveryView.of(delivery)


@router.get(
    "/{endpoint_id}/deliveries",
    operation_id="list_webhook_deliveries",
    responses=problems(BadCursor, EndpointNotFound, SpecRefused, Unavailable),
)
def list_webhook_deliveries(
    endpoint_id: str, query: Annotated[DeliveryListQuery, Query()], webhooks: WebhooksDep
) -> DeliveryList:
    """List an endpoint's past and pending deliveries with every attempt, newest first; kept for 30 days."""
    page = webhooks.endpoints.deliveries(endpoint_id, status=query.status, limit=query.limit, after=query.after)
    return DeliveryList.of(page)


@router.post(
    "/{endpoint_id}/deliveries/{delivery_id}/retry",
    operation_id="retry_webhook_delivery",
    status_code=202,
    responses={
        200: {"model": DeliveryView, "description": "The delivery is already being sent."},
        **problems(EndpointNotFound, DeliveryNotFound, EndpointDisabled, SpecRefused, Unavailable),
    },
)
def retry_webhook_delivery(
    endpoint_id: str, delivery_id: str, webhooks: WebhooksDep, response: Response
) -> DeliveryView:
    """Send a delivery again now, with the same id, whatever its status."""
    delivery, changed = webhooks.endpoints.retry(endpoint_id, delivery_id)
    response.status_code = 202 if changed else 200
    return DeliveryView.of(delivery)
