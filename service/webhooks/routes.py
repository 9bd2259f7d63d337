"""Routes of webhook endpoints: make, list, read, change, delete, test, and the log of what was sent."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.errors import BadCursor, BadRequest, KeyReused, SpecRefused, TooLarge, Unavailable, WrongMediaType
from service.http.bodies import parse, read
from service.http.dependencies import IdempotencyKey, SettingsDep, body_of, key_of, made, only
from service.http.problems import problems
from service.webhooks.bodies import EndpointBody, EndpointChangeBody
from service.webhooks.dependencies import WebhooksDep
from service.webhooks.endpoint import DeliveryStatus
from service.webhooks.errors import DeliveryNotFound, EndpointDisabled, EndpointNotFound, TooManyEndpoints
from service.webhooks.schemas import DeliveryList, DeliveryView, EndpointList, EndpointSecretView, EndpointView

router = APIRouter(prefix="/v1/webhook_endpoints", tags=["webhooks"])
JSON = "application/json"
EXAMPLE = {"url": "https://hooks.example/fitwell", "events": ["run.succeeded", "run.failed", "study.finished"]}
Limit = Annotated[int, Query(ge=1, le=1000)]
After = Annotated[str | None, Query(description="next_cursor of the page before.")]


@router.post(
    "",
    operation_id="create_webhook_endpoint",
    status_code=201,
    response_model=EndpointSecretView,
    dependencies=[Depends(only())],
    openapi_extra=body_of("EndpointBody", EXAMPLE),
    responses=problems(BadRequest, TooManyEndpoints, TooLarge, WrongMediaType, SpecRefused, KeyReused, Unavailable),
)
async def create_webhook_endpoint(
    request: Request, webhooks: WebhooksDep, settings: SettingsDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """Be told what happens from now on, by signed POST requests (Standard Webhooks). The secret is shown this once.

    A name must resolve, to addresses on the internet only; it is resolved and checked again in every attempt. What is
    sent is sent at least once, with the same `webhook-id` in every attempt, and in no particular order.
    """
    body = await read(request, settings.max_body_bytes)
    new = parse(EndpointBody, body).new_endpoint()
    await webhooks.targets.resolved(new.url)
    key = key_of(request, idempotency_key, body)
    answer = await run_in_threadpool(
        webhooks.endpoints.create, new, respond=lambda one: EndpointSecretView.of(one).model_dump_json(), key=key
    )
    return made(answer, "/v1/webhook_endpoints")


@router.get(
    "",
    operation_id="list_webhook_endpoints",
    response_model=EndpointList,
    dependencies=[Depends(only("limit", "after"))],
    responses=problems(BadCursor, SpecRefused, Unavailable),
)
def list_webhook_endpoints(webhooks: WebhooksDep, limit: Limit = 20, after: After = None) -> Response:
    """Webhook endpoints, newest first."""
    page = webhooks.endpoints.page(limit=limit, after=after)
    return Response(EndpointList.of(page).model_dump_json(), media_type=JSON)


@router.get(
    "/{endpoint_id}",
    operation_id="get_webhook_endpoint",
    response_model=EndpointView,
    dependencies=[Depends(only())],
    responses=problems(EndpointNotFound, SpecRefused, Unavailable),
)
def get_webhook_endpoint(endpoint_id: str, webhooks: WebhooksDep) -> Response:
    """One webhook endpoint, without its secret."""
    return Response(EndpointView.of(webhooks.endpoints.get(endpoint_id)).model_dump_json(), media_type=JSON)


@router.patch(
    "/{endpoint_id}",
    operation_id="change_webhook_endpoint",
    response_model=EndpointView,
    dependencies=[Depends(only())],
    openapi_extra=body_of("EndpointChangeBody", {"enabled": False}),
    responses=problems(EndpointNotFound, BadRequest, TooLarge, WrongMediaType, SpecRefused, Unavailable),
)
async def change_webhook_endpoint(
    request: Request, endpoint_id: str, webhooks: WebhooksDep, settings: SettingsDep
) -> Response:
    """Change a webhook endpoint; what is left out stays as it is.

    While it is disabled nothing new is told; what was to be sent waits, and is sent once it is enabled again.
    """
    body = parse(EndpointChangeBody, await read(request, settings.max_body_bytes))
    changes = body.model_dump(exclude_unset=True)
    if "url" in changes:
        await webhooks.targets.resolved(body.url)
    changed = await run_in_threadpool(webhooks.endpoints.change, endpoint_id, changes)
    return Response(EndpointView.of(changed).model_dump_json(), media_type=JSON)


@router.delete(
    "/{endpoint_id}",
    operation_id="delete_webhook_endpoint",
    status_code=204,
    dependencies=[Depends(only())],
    responses=problems(EndpointNotFound, SpecRefused, Unavailable),
)
def delete_webhook_endpoint(endpoint_id: str, webhooks: WebhooksDep) -> Response:
    """Forget a webhook endpoint, its log, and what was to be sent to it."""
    webhooks.endpoints.delete(endpoint_id)
    return Response(status_code=204)


@router.post(
    "/{endpoint_id}/rotate_secret",
    operation_id="rotate_webhook_secret",
    response_model=EndpointSecretView,
    dependencies=[Depends(only())],
    responses=problems(EndpointNotFound, SpecRefused, Unavailable),
)
def rotate_webhook_secret(endpoint_id: str, webhooks: WebhooksDep) -> Response:
    """Change the secret for another, shown this once; for a day, what is sent is signed by the one before as well."""
    return Response(EndpointSecretView.of(webhooks.endpoints.rotate(endpoint_id)).model_dump_json(), media_type=JSON)


@router.post(
    "/{endpoint_id}/test",
    operation_id="test_webhook_endpoint",
    response_model=DeliveryView,
    dependencies=[Depends(only())],
    responses=problems(EndpointNotFound, DeliveryNotFound, SpecRefused, Unavailable),
)
async def test_webhook_endpoint(endpoint_id: str, webhooks: WebhooksDep) -> Response:
    """Send a signed `webhook.test` now and once, and tell what came back; also to one that is disabled."""
    due = await webhooks.sender.send_test(partial(webhooks.endpoints.test, endpoint_id))
    sent = await run_in_threadpool(webhooks.endpoints.delivery, endpoint_id, due.message.id)
    return Response(DeliveryView.of(sent).model_dump_json(), media_type=JSON)


@router.get(
    "/{endpoint_id}/deliveries",
    operation_id="list_webhook_deliveries",
    response_model=DeliveryList,
    dependencies=[Depends(only("status", "limit", "after"))],
    responses=problems(BadCursor, EndpointNotFound, SpecRefused, Unavailable),
)
def list_webhook_deliveries(
    endpoint_id: str,
    webhooks: WebhooksDep,
    status: Annotated[DeliveryStatus | None, Query(description="Only those that are so.")] = None,
    limit: Limit = 20,
    after: After = None,
) -> Response:
    """What was sent to an endpoint or is to be, newest first, with every attempt; kept for 30 days."""
    page = webhooks.endpoints.deliveries(endpoint_id, status=status, limit=limit, after=after)
    return Response(DeliveryList.of(page).model_dump_json(), media_type=JSON)


@router.post(
    "/{endpoint_id}/deliveries/{delivery_id}/retry",
    operation_id="retry_webhook_delivery",
    status_code=202,
    response_model=DeliveryView,
    dependencies=[Depends(only())],
    responses={
        200: {"model": DeliveryView, "description": "It is being sent already."},
        **problems(EndpointNotFound, DeliveryNotFound, EndpointDisabled, SpecRefused, Unavailable),
    },
)
def retry_webhook_delivery(endpoint_id: str, delivery_id: str, webhooks: WebhooksDep) -> Response:
    """Send a delivery again now, with the id it had, however it ended."""
    delivery, changed = webhooks.endpoints.retry(endpoint_id, delivery_id)
    return Response(DeliveryView.of(delivery).model_dump_json(), 202 if changed else 200, media_type=JSON)
