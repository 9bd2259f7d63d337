"""A run between two epochs: its tensors, its best epoch, and what of both is on disk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from worker.engine import checkpoints
from worker.ports import Checkpoint, Claim, WeightsFile
from worker.spec.best import judged_by
from worker.spec.run import RunSpec


@dataclass
class Best:
    """A run's best epoch so far: of how many none, and its weights until they are on disk."""

    epoch: int = 0
    value: float = math.inf
    tensors: Mapping[str, Tensor] | None = None

    @classmethod
    def of(cls, history: Mapping[str, Sequence[float | None]], epochs: int) -> Best:
        """The best of the first ``epochs`` that are recorded; their weights are on disk."""
        best = cls()
        for epoch, value in enumerate(history.get(judged_by(history), ())[:epochs], 1):
            best.look(epoch, value)
        return best

    def look(self, epoch: int, value: float | None, tensors: Mapping[str, Tensor] | None = None) -> None:
        """Take an epoch for the best where its loss is lower than all before."""
        if epoch > 0 and value is not None and value < self.value:
            self.epoch, self.value, self.tensors = epoch, value, tensors


@dataclass
class State:
    """A run as it was at the end of its last epoch."""

    claim: Claim
    spec: RunSpec
    epoch: int
    digest: str
    tensors: Mapping[str, Tensor] | None
    best: Best
    weights: Mapping[str, Tensor] | None = None
    """Initial weights of a warm start."""
    preparation: Mapping[str, Any] = field(default_factory=dict)
    """How rows of a typed table become inputs, for the files."""
    saved: bool = True
    _checkpoint: Checkpoint | None = None

    def save(self, directory: Path) -> Checkpoint | None:
        """Write the checkpoint; None where it is on disk already.

        Raises:
            OSError: it cannot be written; the older ones are as they were.
        """
        if self.saved or self.tensors is None:
            return None
        name = f"{self._prefix}-epoch{self.epoch:06d}.safetensors"
        self._checkpoint = checkpoints.save(
            directory, name, self.tensors, epoch=self.epoch, digest=self.digest, preparation=self.preparation
        )
        self.saved = True
        return self._checkpoint

    def save_weights(self, directory: Path, *, ended: bool) -> tuple[WeightsFile, ...]:
        """Write the weights that are not yet on disk: of the best epoch, and at the end as they are now.

        Raises:
            OSError: they cannot be written.
        """
        files: list[WeightsFile] = []
        if self.best.tensors is not None:
            files.append(self._write(directory, "best", self.best.epoch, self.best.tensors))
            self.best.tensors = None
        if ended and self.tensors is not None:
            if files and files[0].epoch == self.epoch:
                files.append(replace(files[0], at="last"))
            else:
                files.append(self._write(directory, "last", self.epoch, self.tensors))
            if self.spec.averaging is not None and self.spec.averaging.has_begun(self.epoch):
                files.append(self._write_averages(directory, self.tensors))
        return tuple(files)

    def _write_averages(self, directory: Path, tensors: Mapping[str, Tensor]) -> WeightsFile:
        """Write the averaged weights of the last epoch as a model of their own."""
        name, averages = f"{self._prefix}-averaged{self.epoch:06d}.safetensors", checkpoints.averages_of(tensors)
        return checkpoints.save_weights(
            directory, name, averages, at="averaged", epoch=self.epoch, preparation=self.preparation
        )

    def _write(
        self, directory: Path, at: Literal["best", "last"], epoch: int, tensors: Mapping[str, Tensor]
    ) -> WeightsFile:
        """A file of weights; where the optimizer keeps nothing, the checkpoint of that epoch is one."""
        known = self._checkpoint
        if known is not None and known.epoch == epoch and len(checkpoints.weights_of(tensors)) == len(tensors):
            return WeightsFile(at=at, epoch=epoch, path=known.path, sha256=known.sha256, bytes=known.bytes)
        name = f"{self._prefix}-weights{epoch:06d}.safetensors"
        return checkpoints.save_weights(directory, name, tensors, at=at, epoch=epoch, preparation=self.preparation)

    @property
    def _prefix(self) -> str:
        return f"{self.claim.run_id}/attempt{self.claim.attempt:04d}"
