"""State that the jobs of one training process share: directories, device and the most recent data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from worker.blob_store import BlobStore
from worker.engine import checkpoints
from worker.engine.data import Data
from worker.engine.knn import data_for
from worker.engine.process_registry import ProcessRegistry
from worker.engine.stack_data import StackData
from worker.engine.teacher_logits import TeacherLogits
from worker.ports import Claim
from worker.spec.datasets.uploaded import stored_as
from worker.spec.families.dataset import Dataset
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
    _data: dict[str, StackData] = field(default_factory=dict)
    _teacher_logits: TeacherLogits = field(init=False)

    def __post_init__(self) -> None:
        self._teacher_logits = TeacherLogits(self.checkpoints)

    def data(self, specs: Sequence[RunSpec]) -> StackData:
        """Return the dataset of a stack on the device, in the form that its model wants, with every split of a run."""
        model = specs[0].model
        by_split = {spec.dataset.split_seed: spec.dataset for spec in specs}
        datasets = [by_split[seed] for seed in sorted(by_split)]
        key = f"{[one.model_dump_json() for one in datasets]} {model.trains or model.kind}"
        if key not in self._data:
            self._bring(datasets[0])
            self._data = {key: data_for(datasets, model, self.datasets, self.device)}
        return self._data[key]

    def teach(self, claim: Claim, spec: RunSpec, data: StackData) -> None:
        """Let the teachers of a run say what they have to say of the rows that they teach on.

        Raises:
            BadCheckpoint: the weights of one are missing or altered.
            FileNotFoundError: The transfer set is missing.
        """
        files = {file.sha256: file for file in claim.weights if file.at == "teacher"}
        for part in spec.regularizers:
            references = part.references()
            transfer = next(iter(references.datasets.values()), None)
            rows = data.of_split(spec.dataset) if transfer is None else self._transfer(transfer, data)
            for teacher in references.teachers.values():
                if teacher.sha256 not in files:
                    raise checkpoints.BadCheckpoint(f"the weights of the teacher {teacher.run_id} are missing")
                logits = self._teacher_logits.of(teacher, files[teacher.sha256], rows)
                (data if transfer is None else rows).add_teacher_logits(teacher, spec.dataset, logits)

    def _transfer(self, requested: Dataset, data: StackData) -> Data:
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
