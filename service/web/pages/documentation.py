"""The pages of the documentation: the index, one page, search, and the pictures and tables that pages link to."""

from __future__ import annotations

import posixpath
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, Response

from service.errors import NotFound
from service.http.dependencies import CallerDep
from service.http.routing import Route
from service.web.documentation.files import INDEX, MEDIA_TYPES, attachment, document_path
from service.web.documentation.markdown import document
from service.web.documentation.navigation import groups, pages_below
from service.web.documentation.search import search
from service.web.pages.runs import FRESH
from service.web.parameters import DocumentationQuery
from service.web.rendering import render

router = APIRouter(include_in_schema=False, route_class=Route)


@router.get("/documentation")
def get_index(query: Annotated[DocumentationQuery, Query()], caller: CallerDep) -> Response:
    """Render the index, or the results of a search."""
    if query.q.strip():
        page = render(
            "documentation_search.html",
            caller=caller,
            section="documentation",
            groups=groups(),
            path="",
            query=query.q,
            hits=search(query.q),
        )
        return HTMLResponse(page, headers=FRESH)
    return _page(INDEX, caller)


@router.get("/documentation/{page:path}")
def get_page(page: str, caller: CallerDep) -> Response:
    """Render a page or the list of a folder's pages, or return an attachment."""
    path = document_path(page)
    if path is not None:
        return _page(path, caller)
    content = attachment(page)
    if content is not None:
        return Response(content, media_type=MEDIA_TYPES[posixpath.splitext(page)[1]], headers=FRESH)
    pages = pages_below(page)
    if not pages:
        raise NotFound(f"The documentation has no page {page!r}. Search for it at /documentation.")
    folder = render(
        "documentation_folder.html",
        caller=caller,
        section="documentation",
        groups=groups(),
        path=page,
        query="",
        pages=pages,
    )
    return HTMLResponse(folder, headers=FRESH)


def _page(path: str, caller: CallerDep) -> Response:
    page = render(
        "documentation.html",
        caller=caller,
        section="documentation",
        groups=groups(),
        path=path,
        query="",
        document=document(path),
    )
    return HTMLResponse(page, headers=FRESH)
