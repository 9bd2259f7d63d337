"""Static files: read once, with the hash of all files in their URL, so that browsers cache them forever."""

from __future__ import annotations

import functools
import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from fastapi import APIRouter
from starlette.responses import Response

from service.errors import NotFound

router = APIRouter(include_in_schema=False)
MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
"""Extensions that are served; licenses and notes beside these files are not."""
CACHE_FOREVER = "public, max-age=31536000, immutable"


class Assets(NamedTuple):
    """All files by path, and their common version."""

    version: str
    files: dict[str, bytes]


@functools.cache
def assets() -> Assets:
    """Read the files; later calls return the same ones."""
    contents = dict(sorted(_files_below(files("service.web") / "static", "")))
    digest = hashlib.sha256(b"".join(f"{path}\0{len(data)}\0".encode() + data for path, data in contents.items()))
    return Assets(digest.hexdigest()[:16], contents)


def _files_below(folder: Traversable, path: str) -> list[tuple[str, bytes]]:
    entries: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            entries += _files_below(entry, f"{path}{entry.name}/")
        elif entry.name.rpartition(".")[2] in MEDIA_TYPES:
            entries.append((path + entry.name, entry.read_bytes()))
    return entries


def address(path: str) -> str:
    """Return a file's URL. Modules import each other by relative paths, so they all share one version."""
    assert path in assets().files, path
    return f"/static/{assets().version}/{path}"


@router.get("/static/{version}/{path:path}")
def get_asset(version: str, path: str) -> Response:
    """Return a static file. Other versions get it too, uncached: a page may stay open during an upgrade."""
    data = assets().files.get(path)
    if data is None:
        raise NotFound(f"No static file {path!r}.")
    caching = CACHE_FOREVER if version == assets().version else "no-cache"
    headers = {"cache-control": caching, "x-content-type-options": "nosniff"}
    return Response(data, 200, headers, MEDIA_TYPES[path.rpartition(".")[2]])
