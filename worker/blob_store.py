"""Where files lie that several processes need: in a directory which all of them see, or in a bucket behind it.

A file is written into the directory, whole, and never changes once it has its name. In front of a bucket the directory
is a cache: what is written goes into the bucket before anybody hears of it, and who reads a file that is not here, or
is not what was written, has it brought first.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from worker.digests import Digests, NotAsRecorded

if TYPE_CHECKING:
    from obstore import GetResult

LOG = logging.getLogger("fitwell.storage")
SCHEME = "s3://"
PATIENCE_SECONDS = 3.0
"""How long to retry an unavailable bucket while a request waits."""
PART_BYTES = 8 * 2**20
"""Bytes per request to the bucket."""
AT_ONCE = 8
USED_SECONDS = 3600.0
"""How exactly it is known when a local copy was last used."""
COPIES_SECONDS = 86_400.0
"""How long a copy of what is in the bucket is kept after its last use."""
REASON_LETTERS = 300


class StorageUnavailable(OSError):
    """The bucket did not answer, or refused; the message says what would work."""


class BlobStore:
    """A directory that all who need its files see, at this path or another; names are relative to ``home``."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def push(self, name: str, source: Path | None = None) -> None:
        """Make a file written here, or to ``source``, readable by other machines before it is recorded.

        Raises:
            StorageUnavailable: they could not.
        """

    def push_all(self, names: Iterable[str]) -> None:
        """The same for many files, some of them at once."""

    def holds(self, name: str) -> bool:
        """Return whether other machines can read the file.

        Raises:
            StorageUnavailable: The bucket does not respond.
        """
        return True

    def fetch(self, name: str, sha256: str) -> None:
        """See that a file is here as it was written. One that is nowhere stays away, and who opens it will tell.

        Raises:
            StorageUnavailable: it may be in the bucket, and could not be brought.
        """

    def drop(self, names: Sequence[str]) -> None:
        """Remove files that nothing names any more; one that cannot be removed is left and logged."""
        for name in names:
            try:
                (self.home / name).unlink(missing_ok=True)
            except OSError as error:
                LOG.warning("the file %s could not be removed: %s", name, error)

    def stored(self, before: float) -> Iterator[str]:
        """Return names of stored files outside the directory that are older than that moment.

        Raises:
            StorageUnavailable: The bucket does not respond.
        """
        return iter(())

    def unsent(self) -> Iterator[str]:
        """Yield the names of files that are on this machine alone."""
        return iter(())

    def tidy(self, before: float) -> int:
        """Remove copies that have not been used since that moment and can be fetched again; return how many."""
        return 0


class Bucket(BlobStore):
    """A bucket of S3 behind the directory, at ``url`` (``s3://bucket/prefix``). AWS_* variables say where and who."""

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
        import obstore

        path = source or self.home / name
        try:
            with self._asking():
                obstore.put(self._store, name, path, chunk_size=PART_BYTES, max_concurrency=4)
            _mark(path)
        except StorageUnavailable:
            if source is None:
                path.unlink(missing_ok=True)
            raise

    def push_all(self, names: Iterable[str]) -> None:
        """Send files, some of them at once."""
        with ThreadPoolExecutor(AT_ONCE, "storage") as senders:
            for sent in [senders.submit(self.push, name) for name in names]:
                sent.result()

    def holds(self, name: str) -> bool:
        """Whether it is in the bucket."""
        return self._part(name, 0, 1) is not None

    def fetch(self, name: str, sha256: str) -> None:
        """Bring a file that is not here as it was written: whole or not at all."""
        path = self.home / name
        if self._is_here(path, sha256):
            return
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            actual = self._bring(name, temporary)
            if actual == sha256:
                _mark(temporary)
                temporary.replace(path)
                LOG.info("brought %s from %s", name, self.url)
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
        """Whether the local copy is what was written; then it is noted that it was used."""
        try:
            with self._digests.opened(path, sha256) as file:
                used = os.fstat(file.fileno()).st_mtime
        except NotAsRecorded:
            return False
        if used < time.time() - USED_SECONDS:
            with contextlib.suppress(OSError):  # it is another user's, or was removed just now
                os.utime(path)
        return True

    def _bring(self, name: str, to: Path) -> str | None:
        """Write what the bucket has of this name to a new file; its SHA-256, or None where it has nothing."""
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
        """The size of an object and a part of it; None where there is no such object."""
        import obstore

        try:
            with self._asking():
                got: GetResult = obstore.get(self._store, name, options={"range": (begin, end)})
                return got.meta["size"], bytes(got.bytes())
        except FileNotFoundError:
            return None

    def drop(self, names: Sequence[str]) -> None:
        """Remove both, the copy and the object."""
        import obstore

        super().drop(names)
        try:
            with self._asking():
                if names:
                    obstore.delete(self._store, list(names))
        except (StorageUnavailable, FileNotFoundError) as error:
            LOG.warning("%d file(s) are left in the bucket for now: %s", len(names), error)

    def stored(self, before: float) -> Iterator[str]:
        """The objects that were last written before that moment."""
        import obstore

        with self._asking():
            for some in obstore.list(self._store):
                yield from (one["path"] for one in some if one["last_modified"].timestamp() < before)

    def unsent(self) -> Iterator[str]:
        """Yield the names of files that are not marked as copies."""
        for path in self.home.rglob("*.safetensors"):
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                if not path.name.startswith(".") and path.stat().st_mode & stat.S_IWUSR:
                    yield path.relative_to(self.home).as_posix()

    def tidy(self, before: float) -> int:
        """Remove what was not used since, of copies and of files whose writers died; what is here alone stays."""
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
    def _asking(self) -> Iterator[None]:
        """Translate errors of the bucket into messages, except that an object is missing."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError, ValueError) as error:
            if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
                raise
            reason = str(error).partition("\n")[0][:REASON_LETTERS]
            raise StorageUnavailable(
                f"The storage {self.url} failed ({reason}). What was recorded is kept. Where "
                "it is and who may use it is said by FITWELL_STORAGE_URL and the AWS_* variables; `fitwell doctor` "
                "tries them. Try or retry it when the storage is there again."
            ) from error


@functools.cache
def opened(home: Path, storage_url: str | None, patience: float = PATIENCE_SECONDS) -> BlobStore:
    """The depot in this directory; with a URL, in front of the folder of the same name in that bucket."""
    if storage_url is None:
        return BlobStore(home)
    return Bucket(home, f"{storage_url.rstrip('/')}/{home.name}", patience)


def try_out(store: BlobStore) -> str:
    """Write, list, read and remove an object, and return a summary.

    Raises:
        StorageUnavailable: one of these did not work.
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
        brought = (store.home / name).exists()
    finally:
        source.unlink(missing_ok=True)
        store.drop([name])
    if not (listed and brought and not store.holds(name)):
        raise StorageUnavailable(f"An object written to {store.url} was missing, or could not be removed.")
    return f"{store.url} can be written, listed, read and cleared"


def _mark(path: Path) -> None:
    """Mark a file as a copy of an object in the bucket by making it read-only."""
    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
