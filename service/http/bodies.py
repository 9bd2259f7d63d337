"""JSON bodies: counted while they arrive, validated strictly, and refused with exact pointers.

A route takes ``body: JsonBody[RunBody]``; ``service.http.routing`` reads the body before FastAPI calls the route.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, ClassVar, Generic, TypeVar, get_args, get_origin

from fastapi import Request
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError, WrapValidator
from pydantic_core import CoreSchema, core_schema
from starlette.concurrency import run_in_threadpool

from service.errors import BadRequest, TooLarge, WrongMediaType
from service.http.body_stream import media_type, pieces
from service.http.validation import invalid_body
from service.settings import Settings

JSON_TYPE = re.compile(r"application/(.+\+)?json")
LARGE_BYTES = 2**14
"""Larger bodies are validated in another thread, so that other requests are served meanwhile."""
M = TypeVar("M", bound=BaseModel)
JsonBody = Annotated[M, WrapValidator(lambda body, _: body)]
"""The body of a route. The model itself documents it; FastAPI passes on what ``routing`` has validated."""


class BodyModel(BaseModel):
    """A request body: no unknown fields, and no values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)

    size_setting: ClassVar[str] = "max_body_bytes"
    """The setting that limits the size of the body."""
    file_types: ClassVar[frozenset[str]] = frozenset()
    """Types of files that the route accepts as well; its body is then a ``FileBody``."""


class FileBody(bytes):
    """Stands for a body that is a file, which the route reads itself from the request; never empty."""


class Unparsed(Generic[M]):
    """A body that the route parses itself, at a time of its own: ``Annotated[Unparsed[PredictBody], Body()]``."""

    def __init__(self, model: type[M], content: bytes) -> None:
        self._model = model
        self._content = content

    def parse(self) -> M:
        """Return the body as its model.

        Raises:
            BadRequest, SpecRefused: As ``parse`` does.
        """
        return parse(self._model, self._content)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Document the body as its model, and validate nothing."""
        return core_schema.no_info_wrap_validator_function(lambda body, _: body, handler(get_args(source)[0]))


class JsonRequest(Request):
    """A request whose JSON body has been read and validated."""

    def __init__(self, request: Request, content: bytes, body: BaseModel | Unparsed[Any] | FileBody) -> None:
        super().__init__(request.scope, request.receive)
        self._content = content
        self._json_body = body

    async def body(self) -> bytes:
        """Return the bytes of the body."""
        return self._content

    async def json(self) -> BaseModel | Unparsed[Any] | FileBody:
        """Return the validated body."""
        return self._json_body


async def read_json(request: Request, annotation: Any, settings: Settings) -> JsonRequest:
    """Return the request with its body as ``annotation``, a model or an ``Unparsed`` one.

    Raises:
        WrongMediaType: The Content-Type is not JSON.
        TooLarge: The body exceeds the size that ``settings`` allow for this model.
        BadRequest: The body is not JSON, or did not arrive completely.
        SpecRefused: The body is not a valid model.
    """
    model = body_model(annotation)
    if media_type(request) in getattr(model, "file_types", ()):
        return JsonRequest(request, FileBody(b"file"), FileBody())
    content = await _read(request, getattr(model, "size_setting", BodyModel.size_setting), settings)
    if annotation is not model:
        return JsonRequest(request, content, Unparsed(model, content))
    if len(content) > LARGE_BYTES:
        return JsonRequest(request, content, await run_in_threadpool(parse, model, content))
    return JsonRequest(request, content, parse(model, content))


def body_model(annotation: Any) -> type[BaseModel]:
    """Return the model of a body that is annotated as the model itself, or as ``Unparsed``."""
    model: type[BaseModel] = get_args(annotation)[0] if get_origin(annotation) is Unparsed else annotation
    return model


def parse(model: type[M], content: bytes) -> M:
    """Return the JSON in ``content`` as ``model``.

    Raises:
        BadRequest: This is not JSON.
        SpecRefused: This is not a valid ``model``; the first hundred errors are listed.
    """
    check_size = getattr(model, "check_size", None)
    if check_size is not None:
        check_size(content.decode(errors="replace"))
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        details = error.errors(include_url=False)
        if details[0]["type"] == "json_invalid":
            raise BadRequest(f"The body is not JSON: {details[0]['ctx']['error']}.") from error
        raise invalid_body(details, model, json.loads(content)) from error


async def _read(request: Request, size_setting: str, settings: Settings) -> bytes:
    if not JSON_TYPE.fullmatch(media_type(request)):
        raise WrongMediaType(f"Content-Type {media_type(request)!r} is not supported; send application/json.")
    limit: int = getattr(settings, size_setting)
    content = bytearray()
    async for piece in pieces(request):
        content += piece
        if len(content) > limit:
            raise TooLarge(f"The body exceeds {limit:,} bytes (FITWELL_{size_setting.upper()}).")
    return bytes(content)
