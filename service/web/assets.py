"""The files of the pages: read once, named by the hash of all of them, so that browsers keep them for good."""

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
"""What is served; licences and notes lie beside it and are not."""
FOR_GOOD = "public, max-age=31536000, immutable"


class Assets(NamedTuple):
    """All files by path, and the name of this state of them."""

    version: str
    files: dict[str, bytes]


@functools.cache
def assets() -> Assets:
    """The files as they are when first asked for."""
    found = dict(sorted(_below(files("service.web") / "static", "")))
    digest = hashlib.sha256(b"".join(f"{path}\0{len(data)}\0".encode() + data for path, data in found.items()))
    return Assets(digest.hexdigest()[:16], found)


def _below(folder: Traversable, path: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _below(entry, f"{path}{entry.name}/")
        elif entry.name.rpartition(".")[2] in MEDIA_TYPES:
            found.append((path + entry.name, entry.read_bytes()))
    return found


def address(path: str) -> str:
    """Where a file is; modules find each other relative to it, so one version names them all."""
    assert path in assets().files, path
    return f"/static/{assets().version}/{path}"


@router.get("/static/{version}/{path:path}")
def get_asset(version: str, path: str) -> Response:
    """A file of the pages. One of another version is not kept: a page that was open may ask for it after an update."""
    data = assets().files.get(path)
    if data is None:
        raise NotFound(f"There is no file {path!r}.")
    kept = FOR_GOOD if version == assets().version else "no-cache"
    headers = {"cache-control": kept, "x-content-type-options": "nosniff"}
    return Response(data, 200, headers, MEDIA_TYPES[path.rpartition(".")[2]])
