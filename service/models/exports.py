"""A cache of models as ONNX and Python files: exported on request, evicted when space runs out, and reproducible."""

from __future__ import annotations

import hashlib
import json
import logging
from importlib.metadata import version
from io import BufferedReader
from pathlib import Path
from typing import Literal

from service.models.weights import ModelWeights
from worker.digests import Digests, NotAsRecorded
from worker.spec.run import RunSpec

Form = Literal["onnx", "py"]
LOG = logging.getLogger("fitwell.service")


def metadata_of(weights: ModelWeights) -> dict[str, str]:
    """Return the metadata stored in the file."""
    return {
        "fitwell": version("fitwell"),
        "run_id": weights.run_id,
        "at": weights.at,
        "epoch": str(weights.file.epoch),
        "spec": json.dumps(weights.spec, sort_keys=True, ensure_ascii=False),
        "spec_hash": weights.spec_hash,
        "weights_sha256": weights.file.sha256,
        "classes": json.dumps(RunSpec.of(weights.spec).dataset.classes, ensure_ascii=False),
    }


class Exports:
    """The exported files in a directory; the oldest are deleted beyond ``max_bytes`` in total."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._sha256: dict[str, str] = {}
        self._digests = Digests()

    def target(self, weights: ModelWeights, form: Form) -> Path:
        """Return the path of this model's file, named by a hash of everything that its bytes depend on."""
        content = json.dumps([metadata_of(weights), version("onnx")], sort_keys=True)
        self._directory.mkdir(parents=True, exist_ok=True)
        return self._directory / f"{hashlib.sha256(content.encode()).hexdigest()}.{form}"

    def open(self, path: Path) -> tuple[BufferedReader, str] | None:
        """Open a cached file, and return it with its digest; None if it must be exported again."""
        sha256 = self._sha256.get(path.name)
        if sha256 is None:
            return None
        try:
            return self._digests.opened(path, sha256), sha256
        except NotAsRecorded as error:
            LOG.info("%s %s; exporting it again", path, error)
            return None

    def add(self, path: Path, sha256: str) -> None:
        """Register a new file, and delete the oldest ones beyond the size limit."""
        self._sha256[path.name] = sha256
        files = [(one.stat().st_mtime, one.stat().st_size, one) for one in self._directory.iterdir() if one != path]
        room = self._max_bytes - path.stat().st_size
        for _, size, one in sorted(files, reverse=True):
            room -= size
            if room < 0:
                one.unlink(missing_ok=True)
                self._sha256.pop(one.name, None)
