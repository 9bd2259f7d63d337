"""The order of pages: the sections of the documentation's index, each with the pages that it links to."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Iterator
from typing import NamedTuple

from markdown_it import MarkdownIt

from service.web.documentation.files import INDEX, address, documents
from service.web.documentation.markdown import document

FIRST = "Start"
"""The group of the links above the first heading of the index."""


class Link(NamedTuple):
    """A page in the navigation."""

    title: str
    address: str
    path: str


class Group(NamedTuple):
    """A section of the index."""

    title: str
    links: tuple[Link, ...]


@functools.cache
def groups() -> tuple[Group, ...]:
    """Return the sections of the index, without links to files that the server lacks."""
    links: dict[str, list[Link]] = {}
    for title, text, href in _links():
        path = posixpath.normpath(href.partition("#")[0])
        target = address(path)
        if target is not None:
            links.setdefault(title, []).append(Link(text[:1].upper() + text[1:], target, path))
    return tuple(Group(title, tuple(pages)) for title, pages in links.items())


def pages_below(folder: str) -> list[Link]:
    """Return the pages of a folder, by path."""
    paths = [path for path in documents() if posixpath.dirname(path) == folder]
    return [Link(document(path).title, address(path) or "", path) for path in paths]


def _links() -> Iterator[tuple[str, str, str]]:
    """Yield section, text and target of each link of the index."""
    title, heading = FIRST, False
    for token in MarkdownIt("commonmark").enable("table").parse(documents()[INDEX]):
        if token.type in ("heading_open", "heading_close"):
            heading = token.type == "heading_open" and token.tag == "h2"
        elif token.type == "inline" and heading:
            title = token.content.partition(",")[0]
        elif token.type == "inline":
            children = token.children or []
            for index, child in enumerate(children):
                if child.type == "link_open":
                    yield title, children[index + 1].content, str(child.attrs["href"])
