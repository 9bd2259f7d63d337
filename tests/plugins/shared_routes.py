"""Applications of one test process share their compiled routes.

FastAPI compiles the routes of a router when an application first matches them, which takes ten times as long as most
requests, and nearly every test has an application of its own. The routes are those of the same modules with the same
dependencies, so the first application's serve all of them. Without this class in FastAPI nothing is shared.
"""

from __future__ import annotations

from typing import Any

from fastapi import routing


def share() -> None:
    """Remember what FastAPI compiles, by route and prefix."""
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


share()
