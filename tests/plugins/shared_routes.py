"""Applications of one test process share their compiled routes and their OpenAPI document.

FastAPI compiles the routes of a router when an application first matches them, which takes ten times as long as most
requests, and nearly every test has an application of its own. The routes are those of the same modules with the same
dependencies, so the first application's serve all of them. Without this class in FastAPI no routes are shared.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI


def pytest_collection_finish() -> None:
    """Share from now on; the process that only hands out tests never gets here, and need not import FastAPI."""
    share_routes()
    _share_document()


def share_routes() -> None:
    """Remember what FastAPI compiles, by route and prefix."""
    from fastapi import routing

    included: Any = getattr(routing, "_IncludedRouter", None)
    if included is None:
        return
    compiled: dict[tuple[int, str], tuple[Any, Any]] = {}
    compile_route = included._build_effective_context

    def compile_once(self: Any, route: Any) -> Any:
        key = (id(route), self.include_context.prefix)
        if key not in compiled:
            compiled[key] = (route, compile_route(self, route))  # with the route, so that its id stays its own
        return compiled[key][1]

    included._build_effective_context = compile_once


def _share_document() -> None:
    """Generate the OpenAPI document once."""
    import service.app

    documents: list[dict[str, Any]] = []
    application: Any = service.app
    generate = application.openapi

    def generate_once(app: FastAPI) -> dict[str, Any]:
        if not documents:
            documents.append(generate(app))
        return documents[0]

    application.openapi = generate_once


def share_document_in(file: Path) -> None:
    """Generate the OpenAPI document once for all processes that are forked from this one, and store it in ``file``."""
    import service.app

    application: Any = service.app
    generate = application.openapi

    def read_or_generate(app: FastAPI) -> dict[str, Any]:
        if app.openapi_schema is None and file.exists():
            app.openapi_schema = json.loads(file.read_text())
        elif app.openapi_schema is None:
            app.openapi_schema = generate(app)
            written = file.with_suffix(f".{os.getpid()}")
            written.write_text(json.dumps(app.openapi_schema))
            written.rename(file)
        return app.openapi_schema

    application.openapi = read_or_generate
