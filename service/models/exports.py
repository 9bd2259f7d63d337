"""Models as ONNX on disk: made when they are asked for, kept while there is room. Any of them can be made again."""

from __future__ import annotations

import hashlib
import json
import logging
from importlib.metadata import version
from io import BufferedReader
from pathlib import Path

from service.models.weights import Kept
from worker.digests import Digests, NotAsRecorded
from worker.spec.run import RunSpec

LOG = logging.getLogger("fitwell.service")


def metadata_of(kept: Kept) -> dict[str, str]:
    """What the file says of itself."""
    return {
        "fitwell": version("fitwell"),
        "run_id": kept.run_id,
        "at": kept.at,
        "epoch": str(kept.file.epoch),
        "spec": json.dumps(kept.spec, sort_keys=True, ensure_ascii=False),
        "spec_hash": kept.spec_hash,
        "weights_sha256": kept.file.sha256,
        "classes": json.dumps(RunSpec.of(kept.spec).dataset.classes, ensure_ascii=False),
    }


class Exports:
    """The files in a directory, the oldest of which go when they are more than ``most_bytes``."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self._directory = directory
        self._most_bytes = most_bytes
        self._written: dict[str, str] = {}
        self._digests = Digests()

    def target(self, kept: Kept) -> Path:
        """Where this model belongs; whatever its bytes depend on is in the name."""
        about = json.dumps([metadata_of(kept), version("onnx")], sort_keys=True)
        self._directory.mkdir(parents=True, exist_ok=True)
        return self._directory / f"{hashlib.sha256(about.encode()).hexdigest()}.onnx"

    def opened(self, path: Path) -> tuple[BufferedReader, str] | None:
        """A file that was written here, and its digest; None where it has to be written anew."""
        sha256 = self._written.get(path.name)
        if sha256 is None:
            return None
        try:
            return self._digests.opened(path, sha256), sha256
        except NotAsRecorded as error:
            LOG.info("%s %s and is made again", path, error)
            return None

    def written(self, path: Path, sha256: str) -> None:
        """A file is there now; older ones may have to go."""
        self._written[path.name] = sha256
        files = [(one.stat().st_mtime, one.stat().st_size, one) for one in self._directory.iterdir() if one != path]
        room = self._most_bytes - path.stat().st_size
        for _, size, one in sorted(files, reverse=True):
            room -= size
            if room < 0:
                one.unlink(missing_ok=True)
                self._written.pop(one.name, None)
