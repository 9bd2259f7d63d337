"""The files of the documentation: Markdown, and the pictures and tables that it links to."""

from __future__ import annotations

import functools
import posixpath
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

PREFIX = "/documentation"
INDEX = "README.md"
SUFFIX = ".md"
MEDIA_TYPES = {
    ".png": "image/png",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".yml": "text/plain; charset=utf-8",
}
"""Types of the other files."""


@functools.cache
def documents() -> dict[str, str]:
    """Return the text of every page by its path below the folder: ``howto/compare.md``, sorted."""
    return {path: file.read_text("utf-8") for path, file in _files().items() if path.endswith(SUFFIX)}


def attachment(path: str) -> bytes | None:
    """Return the content of a picture or a table, or None if no such file exists."""
    file = _files().get(path)
    return None if file is None or posixpath.splitext(path)[1] not in MEDIA_TYPES else file.read_bytes()


def address(path: str) -> str | None:
    """Return the URL of a file or a folder below the documentation, or None if the server does not have it."""
    if path in ("", ".", INDEX):
        return PREFIX
    if path.endswith(SUFFIX) and path in documents():
        return f"{PREFIX}/{path.removesuffix(INDEX).rstrip('/').removesuffix(SUFFIX)}"
    if path in _files():
        return f"{PREFIX}/{path}"
    return f"{PREFIX}/{path}" if any(one.startswith(f"{path}/") for one in documents()) else None


def document_path(name: str) -> str | None:
    """Return the path of the page with an address, relative to the prefix, or None if no page has it."""
    candidates = (f"{name}{SUFFIX}", posixpath.join(name, INDEX))
    return next((path for path in candidates if path in documents()), None)


@functools.cache
def _files() -> dict[str, Traversable]:
    """Return all files by path, sorted."""
    packaged = files("service.web") / "documentation_files"  # in a distribution
    root: Traversable = packaged if packaged.is_dir() else Path(__file__).parents[3] / "docs"
    return dict(sorted(_below(root, "")))


def _below(folder: Traversable, path: str) -> list[tuple[str, Traversable]]:
    entries: list[tuple[str, Traversable]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            entries += _below(entry, f"{path}{entry.name}/")
        elif posixpath.splitext(entry.name)[1] in (SUFFIX, *MEDIA_TYPES):
            entries.append((path + entry.name, entry))
    return entries
