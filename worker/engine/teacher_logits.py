"""Teacher logits of the training rows, computed once and shared by all students.

They are a pure function of teacher and data, independent of the requesting stack: one thread, one stack of one run,
pieces of a fixed height, and the library that the probe selects for the teacher's own shape.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from worker.blob_store import BlobStore
from worker.engine import checkpoints
from worker.engine.data import Data
from worker.engine.gemm_backend import gemm_backend_for
from worker.engine.hooks import EvaluationHooks
from worker.engine.stack import Member, Stack
from worker.engine.stack_data import StackData
from worker.ports import WeightsFile
from worker.spec.families.model import CHUNK_ROWS
from worker.spec.optimizers.sgd import SGD
from worker.spec.run import RunSpec
from worker.spec.teachers import Teacher, TeacherNetwork

MAX_BYTES = 256 * 2**20
"""Of logits that are kept for students to come; 130 teachers of 50,000 rows and ten classes."""


class TeacherLogits:
    """A cache of teacher logits up to ``max_bytes``, least recently used evicted first."""

    def __init__(self, store: BlobStore, max_bytes: int = MAX_BYTES) -> None:
        self._store = store
        self._most_bytes = max_bytes
        self._known: dict[tuple[str, str], Tensor] = {}

    def of(self, teacher: Teacher, file: WeightsFile, data: Data) -> Tensor:
        """The teacher's logits of all training rows, (rows, classes). Leaves the route another one than it was.

        Raises:
            BadCheckpoint: the file of its weights is missing or altered, or its columns are those of another table.
            StorageUnavailable: it may be in a bucket that is out of reach.
        """
        key = data.spec.model_dump_json(), teacher.key
        known = self._known.pop(key, None)
        if known is None:
            assert teacher.network is not None, "a teacher is resolved before its students are queued"
            weights = checkpoints.weights_of(checkpoints.load(self._store, file, data.device))
            preparation = checkpoints.preparation_in(self._store, file)
            known = logits_of(teacher.network, weights, data, data.raw_by(preparation) if preparation else None)
        self._known[key] = known
        self._forget()
        return known

    def _forget(self) -> None:
        """Evict the least recently used logits above the limit; the newest always stays."""
        total = sum(tensor.nbytes for tensor in self._known.values())
        for key in list(self._known)[:-1]:
            if total <= self._most_bytes:
                return
            total -= self._known.pop(key).nbytes


def logits_of(
    network: TeacherNetwork, weights: Mapping[str, Tensor], data: StackData, raw: Tensor | None = None
) -> Tensor:
    """The logits (rows, classes) that a teacher with these parameters gives the training rows, in evaluation mode.

    ``raw`` are the rows (n, D) as the teacher's own preparation has them; the default is that of ``data``.

    Raises:
        BadCheckpoint: these are no parameters of the network.
    """
    spec = RunSpec(
        dataset=data.spec.model_copy(update={"normalize": network.normalize}),
        model=network.model,
        regularizers=network.regularizers,
        optimizer=SGD(lr=1.0),
        batch_size=CHUNK_ROWS,
        precision=network.precision,
    )
    gemm_backend_for(spec, threads=1, max_runs=1, device=data.device).activate()
    stack = Stack([Member("teacher", spec)], data.device)
    if {name: tensor.shape for name, tensor in stack.tensors(0).items()} != {n: t.shape for n, t in weights.items()}:
        raise checkpoints.BadCheckpoint("the weights of a teacher are another model's")
    stack.restore(0, weights)
    hooks = EvaluationHooks(stack)
    logits = []
    for chunk in torch.split(data.raw if raw is None else raw, CHUNK_ROWS):
        x = hooks.inputs(data.inputs_for(chunk, network.normalize).unsqueeze(0))
        logits.append(stack.network.forward(x, hooks)[0].clone())
    return torch.cat(logits)
