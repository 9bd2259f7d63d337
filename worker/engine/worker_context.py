"""State that the jobs of one training process share: directories, device and the most recent data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from worker.blob_store import BlobStore
from worker.engine import checkpoints
from worker.engine.data import Data
from worker.engine.knn import data_for
from worker.engine.process_registry import ProcessRegistry
from worker.engine.teacher_logits import TeacherLogits
from worker.ports import Claim
from worker.spec.datasets.uploaded import stored_as
from worker.spec.families.dataset import Dataset
from worker.spec.regularizers.distillation import Distillation
from worker.spec.run import RunSpec


@dataclass
class WorkerContext:
    """Shared state of the jobs of this process; the most recent dataset stays in memory."""

    datasets: Path
    uploads: BlobStore
    """Of uploaded datasets, in a folder of that directory."""
    checkpoints: BlobStore
    checkpoint_seconds: float
    threads: int
    device: torch.device
    processes: ProcessRegistry
    _data: dict[str, Data] = field(default_factory=dict)
    _teacher_logits: TeacherLogits = field(init=False)

    def __post_init__(self) -> None:
        self._teacher_logits = TeacherLogits(self.checkpoints)

    def data(self, spec: RunSpec) -> Data:
        """The dataset of ``spec``, split and on the device, in the form that its model wants."""
        key = f"{spec.dataset.model_dump_json()} {spec.model.trains or spec.model.kind}"
        if key not in self._data:
            self._bring(spec.dataset)
            self._data = {key: data_for(spec.dataset, spec.model, self.datasets, self.device)}
        return self._data[key]

    def teach(self, claim: Claim, spec: RunSpec, data: Data) -> None:
        """Let the teachers of a run say what they have to say of the rows that they teach on.

        Raises:
            BadCheckpoint: the weights of one are missing or altered.
            FileNotFoundError: The transfer set is missing.
        """
        files = {file.sha256: file for file in claim.weights if file.at == "teacher"}
        for part in spec.regularizers:
            if not isinstance(part, Distillation):
                continue
            rows = data if part.transfer is None else self._transfer(part.transfer.dataset, data)
            for teacher in part.teachers:
                if teacher.sha256 not in files:
                    raise checkpoints.BadCheckpoint(f"the weights of the teacher {teacher.run_id} are missing")
                rows.teacher_logits[teacher.key] = self._teacher_logits.of(teacher, files[teacher.sha256], rows)

    def _transfer(self, requested: Dataset, data: Data) -> Data:
        """Other rows for the students of ``data``, normalised as those are."""
        key = requested.model_dump_json()
        if key not in data.transfers:
            self._bring(requested)
            as_theirs = requested.model_copy(update={"normalize": data.spec.normalize})
            data.transfers[key] = Data(as_theirs, self.datasets, self.device)
        return data.transfers[key]

    def _bring(self, dataset: Dataset) -> None:
        """See that uploaded rows are on this machine.

        Raises:
            StorageUnavailable: they are not, and where they may be is out of reach.
        """
        stored = stored_as(dataset)
        if stored is not None:
            self.uploads.fetch(*stored)
