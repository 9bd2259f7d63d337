"""Opens the store of a directory, and tests that a store works."""

from __future__ import annotations

import functools
import hashlib
import secrets
from pathlib import Path

from worker.blob_store import BlobStore, StorageUnavailable
from worker.bucket import Bucket

PATIENCE_SECONDS = 3.0
"""How long one call repeats its requests to an unavailable bucket."""


@functools.cache
def opened(home: Path, storage_url: str | None, patience: float = PATIENCE_SECONDS) -> BlobStore:
    """Return the store of a directory; with a URL, in front of the folder of the same name in that bucket."""
    if storage_url is None:
        return BlobStore(home)
    return Bucket(home, f"{storage_url.rstrip('/')}/{home.name}", patience)


def try_out(store: BlobStore) -> str:
    """Write, list, read and remove an object, and return a summary.

    Raises:
        StorageUnavailable: One of these failed.
    """
    if not isinstance(store, Bucket):
        return f"{store.home} is the storage"
    name, content = f"tried-{secrets.token_hex(8)}", secrets.token_bytes(1024)
    source = store.home / f".{name}"
    source.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.write_bytes(content)
        store.push(name, source)
        listed = name in set(store.stored(float("inf")))
        store.fetch(name, hashlib.sha256(content).hexdigest())
        fetched = (store.home / name).exists()
    finally:
        source.unlink(missing_ok=True)
        store.drop([name])
    if not (listed and fetched and not store.holds(name)):
        raise StorageUnavailable(f"An object written to {store.url} was missing, or could not be removed.")
    return f"{store.url} can be written, listed, read and cleared"
