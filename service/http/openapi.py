"""The OpenAPI document: FastAPI's own, with tokens and the errors that every operation can return."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.constants import REF_TEMPLATE
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from pydantic.json_schema import models_json_schema

from service.errors import (
    CrossSite,
    HostRefused,
    NotOwner,
    Refusal,
    ScopeMissing,
    TokenRefused,
    TokenRequired,
    TooManyAttempts,
    TooManyRequests,
)
from service.http.bodies import body_model
from service.http.problems import MEDIA_TYPE, problems
from service.http.scopes import SAFE_METHODS, SCHEME, is_open

SCHEME_DESCRIPTION = (
    "A token that an admin created, as `Authorization: Bearer fw_…`. Scopes: read; write, which includes read; admin, "
    "which includes write. A browser that signed in to the dashboard sends a cookie instead. A server that only its "
    "own machine can reach needs no token until the first one is created."
)
OPEN_REFUSALS: tuple[type[Refusal], ...] = (CrossSite,)
REFUSALS: tuple[type[Refusal], ...] = (
    TokenRequired,
    TokenRefused,
    ScopeMissing,
    NotOwner,
    HostRefused,
    CrossSite,
    TooManyAttempts,
    TooManyRequests,
)


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of ``app``, generated once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            summary=app.summary,
            version=app.version,
            routes=app.routes,
            webhooks=app.webhooks.routes,
            license_info=app.license_info,
        )
        document["components"]["schemas"] |= _body_schemas(app)
        _add_security(document)
        app.openapi_schema = document
    return app.openapi_schema


def _body_schemas(app: FastAPI) -> dict[str, Any]:
    """Return the schemas of all bodies as pydantic writes them: FastAPI leaves out every ``default: null``."""
    fields = [getattr(context, "body_field", None) for context in iter_route_contexts(app.routes)]
    models = [body_model(field.field_info.annotation) for field in fields if field is not None]
    _, schema = models_json_schema([(model, "validation") for model in models], ref_template=REF_TEMPLATE)
    definitions: dict[str, Any] = schema["$defs"]
    return definitions


def _add_security(document: dict[str, Any]) -> None:
    schemes = document["components"].setdefault("securitySchemes", {})
    schemes[SCHEME] = {"type": "http", "scheme": "bearer", "bearerFormat": "fw_…", "description": SCHEME_DESCRIPTION}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scope = "read" if method.upper() in SAFE_METHODS else "write"
            operation.setdefault("security", [] if is_open(path) else [{SCHEME: [scope]}])
            for status, response in problems(*(OPEN_REFUSALS if is_open(path) else REFUSALS)).items():
                _add_response(operation["responses"], str(status), response["description"])


def _add_response(responses: dict[str, Any], status: str, description: str) -> None:
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    response = responses.setdefault(status, {"description": "", "content": problem})
    response["description"] = f"{response['description']}; {description}".removeprefix("; ")
