"""The route class of the API: scope, query parameters and body are checked before FastAPI calls the route."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response

from service.http.bodies import read_json
from service.http.scopes import require_scope
from service.http.validation import unknown_parameters


class Route(APIRoute):
    """A route that refuses unknown query parameters and reads JSON bodies strictly.

    FastAPI would read the body before its dependencies run, without a limit, and validate it on the event loop.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler behind the checks."""
        handle = super().get_route_handler()
        body = None if self.body_field is None else self.body_field.field_info.annotation
        known = None if query_model(self.dependant) else parameter_names(self.dependant)

        async def checked(request: Request) -> Response:
            require_scope(request)
            if known is not None and (unknown := [name for name in request.query_params if name not in known]):
                raise unknown_parameters(unknown, known)
            if body is not None:
                request = await read_json(request, body, request.app.state.settings)
            response = await handle(request)
            if response.status_code == HTTPStatus.NO_CONTENT:
                del response.headers["content-type"]  # FastAPI states the type of a body that does not exist
            return response

        return checked


def query_model(dependant: Dependant) -> type[BaseModel] | None:
    """Return the model of a route's query parameters, if it has one."""
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
    return next((model for one in dependant.dependencies if (model := query_model(one))), None)


def parameter_names(dependant: Dependant) -> Sequence[str]:
    """Return the names of query parameters that a route takes one by one."""
    names = [field.alias for field in dependant.query_params]
    return [*names, *(name for one in dependant.dependencies for name in parameter_names(one))]
