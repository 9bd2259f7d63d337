"""A bucket of S3 behind a directory, which is its cache.

A file goes into the bucket before its name is reported. A file that is not in the directory, or differs from what was
written, is fetched before it is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from worker.blob_store import BlobStore, StorageOutage, StorageUnavailable
from worker.digests import Digests, NotAsRecorded

if TYPE_CHECKING:
    from obstore import GetResult

T = TypeVar("T")
LOG = logging.getLogger("fitwell.storage")
SCHEME = "s3://"
PART_BYTES = 8 * 2**20
"""Bytes per request to the bucket."""
AT_ONCE = 8
USED_SECONDS = 3600.0
"""Resolution of the time at which a local copy was last used."""
REASON_LETTERS = 300
OUTAGE = re.compile(r"after \d+ retries|HTTP error: (?!builder error)")
"""Matches the message of an error that may pass: the client repeated the request, or got no response at all."""
CREDENTIALS_HOST = "://169.254."
"""Link-local hosts provide credentials. Without a response there are no credentials, and waiting does not help."""


class Bucket(BlobStore):
    """A bucket behind the directory, at ``url`` (``s3://bucket/prefix``); AWS_* variables set the credentials."""

    def __init__(self, home: Path, url: str, patience: float) -> None:
        from obstore.store import S3Store

        super().__init__(home)
        self.url = url
        self._digests = Digests()
        bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
        pauses = {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 2}
        again = {"max_retries": 1000, "retry_timeout": timedelta(seconds=patience), "backoff": pauses}
        self._store = S3Store(bucket, prefix=prefix, retry_config=again)  # type: ignore[arg-type] # a TypedDict of theirs

    def push(self, name: str, source: Path | None = None) -> None:
        """Send a file; remove a new file that could not be sent, because the database will not name it."""
        path = source or self.home / name
        try:
            self._repeat(lambda: self._send(name, path))
        except BaseException:
            if source is None:
                path.unlink(missing_ok=True)
            raise

    def push_all(self, names: Iterable[str]) -> None:
        """Send files, some of them at once; remove those that could not be sent."""
        left = set(names)
        try:
            self._repeat(lambda: self._send_all(left))
        except BaseException:
            for name in left:
                (self.home / name).unlink(missing_ok=True)
            raise

    def _send(self, name: str, path: Path) -> None:
        import obstore

        with self._translated():
            obstore.put(self._store, name, path, chunk_size=PART_BYTES, max_concurrency=4)
        _mark(path)

    def _send_all(self, left: set[str]) -> None:
        """Send these files, and remove from ``left`` those that were sent; raises the first error."""

        def send(name: str) -> None:
            self._send(name, self.home / name)
            left.discard(name)

        with ThreadPoolExecutor(AT_ONCE, "storage") as senders:
            for sent in [senders.submit(send, name) for name in sorted(left)]:
                sent.result()

    def _repeat(self, call: Callable[[], T]) -> T:
        """Return the result of a call; repeat it while the bucket is out of reach and ``outages`` waits."""
        repeated = False
        while True:
            try:
                result = call()
            except StorageOutage as error:
                self.outages.wait_out(error)
                repeated = True
            else:
                if repeated:
                    self.outages.storage_is_back()
                return result

    def holds(self, name: str) -> bool:
        """Return whether the file is in the bucket."""
        return self._part(name, 0, 1) is not None

    def fetch(self, name: str, sha256: str) -> None:
        """Fetch a file that is missing or damaged in the directory; replace it only as a whole."""
        path = self.home / name
        if self._is_here(path, sha256):
            return
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            actual = self._download(name, temporary)
            if actual == sha256:
                _mark(temporary)
                temporary.replace(path)
                LOG.info("fetched %s from %s", name, self.url)
            elif actual is not None:
                LOG.warning("%s in %s is not what was written: its SHA-256 differs", name, self.url)
        except StorageUnavailable:
            raise
        except OSError as error:
            unavailable = StorageUnavailable(
                f"{name} could not be written to {self.home} ({error.strerror}). Make room."
            )
            unavailable.errno = error.errno
            raise unavailable from error
        finally:
            temporary.unlink(missing_ok=True)

    def _is_here(self, path: Path, sha256: str) -> bool:
        """Return whether the local copy has this digest, and record that it was used."""
        try:
            with self._digests.opened(path, sha256) as file:
                used = os.fstat(file.fileno()).st_mtime
        except NotAsRecorded:
            return False
        if used < time.time() - USED_SECONDS:
            with contextlib.suppress(OSError):  # it is another user's, or was removed just now
                os.utime(path)
        return True

    def _download(self, name: str, to: Path) -> str | None:
        """Write an object to a new file; return its SHA-256, or None if the object does not exist."""
        digest, begin = hashlib.sha256(), 0
        part = self._part(name, 0, PART_BYTES)
        if part is None:
            return None
        to.parent.mkdir(parents=True, exist_ok=True)
        with to.open("xb") as file:
            while part is not None:
                size, content = part
                file.write(content)
                digest.update(content)
                begin += len(content)
                if begin >= size:
                    break
                part = self._part(name, begin, begin + PART_BYTES)
            file.flush()
            os.fsync(file.fileno())
        return digest.hexdigest()

    def _part(self, name: str, begin: int, end: int) -> tuple[int, bytes] | None:
        """Return the size of an object and a part of it, or None if the object does not exist."""
        import obstore

        def get() -> tuple[int, bytes]:
            with self._translated():
                response: GetResult = obstore.get(self._store, name, options={"range": (begin, end)})
                return response.meta["size"], bytes(response.bytes())

        try:
            return self._repeat(get)
        except FileNotFoundError:
            return None

    def drop(self, names: Sequence[str]) -> None:
        """Remove the copies and the objects."""
        import obstore

        super().drop(names)
        try:
            with self._translated():
                if names:
                    obstore.delete(self._store, list(names))
        except (StorageUnavailable, FileNotFoundError) as error:
            LOG.warning("%d file(s) are left in the bucket for now: %s", len(names), error)

    def stored(self, before: float) -> Iterator[str]:
        """Yield the names of objects that were last written before that moment."""
        import obstore

        with self._translated():
            for some in obstore.list(self._store):
                yield from (one["path"] for one in some if one["last_modified"].timestamp() < before)

    def unsent(self) -> Iterator[str]:
        """Yield the names of files that are not marked as copies."""
        for path in self.home.rglob("*.safetensors"):
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                if not path.name.startswith(".") and path.stat().st_mode & stat.S_IWUSR:
                    yield path.relative_to(self.home).as_posix()

    def tidy(self, before: float) -> int:
        """Remove unused copies and temporary files of processes that died; keep files that are only here."""
        removed = 0
        for path in list(self.home.rglob("*")):
            with contextlib.suppress(OSError):  # it has gone, is another user's, or is a directory that is not empty
                actual = path.stat()
                if actual.st_mtime >= before:
                    continue
                if path.is_dir():
                    path.rmdir()
                elif path.name.startswith(".") or not actual.st_mode & stat.S_IWUSR:
                    path.unlink()
                    removed += 1
        return removed

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Translate errors of the bucket into messages, except that an object is missing."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError, ValueError) as error:
            if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
                raise
            raise self._unavailable(str(error).partition("\n")[0]) from error

    def _unavailable(self, reason: str) -> StorageUnavailable:
        """Return the error to raise for a reason that the client of the bucket gives."""
        passes = OUTAGE.search(reason) is not None and CREDENTIALS_HOST not in reason
        kind = StorageOutage if passes else StorageUnavailable
        error = kind(
            f"The storage {self.url} failed ({reason[:REASON_LETTERS]}). FITWELL_STORAGE_URL and the AWS_* variables "
            "set its address and credentials; `fitwell doctor` tests them. What was recorded is kept. Retry when the "
            "storage works again."
        )
        if isinstance(error, StorageOutage):
            error.reason = reason[:REASON_LETTERS]
        return error


def _mark(path: Path) -> None:
    """Mark a file as a copy of an object in the bucket by making it read-only."""
    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
