"""One stack's work in the training process: load, go on from the checkpoints, train, save, report."""

from __future__ import annotations

import errno
import itertools
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from worker.engine import checkpoints
from worker.engine.data import Data
from worker.engine.digest import first_digest, next_digest
from worker.engine.evaluation import confusion
from worker.engine.neighbours import Neighbours
from worker.engine.routes import Route, route_for
from worker.engine.stack import Member, Stack
from worker.engine.summary import parameters_of
from worker.engine.training import Ended as HowItEnded
from worker.engine.training import EpochResult, Training, ended_after
from worker.messages import Ended, Epoch, Message, Saved, Started, Train
from worker.ports import Checkpoint, Claim, Measurement, Outcome
from worker.spec.run import RunSpec

LOG = logging.getLogger("fitwell.training")
LeaveStatus = Literal["cancelled", "paused", "lost"]


@dataclass
class Workshop:
    """What every job of this process works with; the dataset used last stays in memory."""

    datasets: Path
    checkpoints: Path
    checkpoint_seconds: float
    threads: int
    device: torch.device
    neighbours: Neighbours
    _data: dict[str, Data] = field(default_factory=dict)

    def data(self, spec: RunSpec) -> Data:
        """The dataset of ``spec``, split and on the device."""
        key = spec.dataset.model_dump_json()
        if key not in self._data:
            self._data = {key: Data(spec.dataset, self.datasets, self.device)}
        return self._data[key]


@dataclass
class State:
    """A run as it was at the end of its last epoch."""

    claim: Claim
    spec: RunSpec
    epoch: int
    digest: str
    tensors: Mapping[str, Tensor] | None
    saved: bool = True


class Job:
    """Trains the runs of one ``Train`` order. ``leave`` and ``halt`` may be called from another thread."""

    def __init__(self, train: Train, workshop: Workshop, say: Callable[[Message], None]) -> None:
        self._train = train
        self._workshop = workshop
        self._say = say
        self._states: dict[str, State] = {}
        self._leaving: dict[str, LeaveStatus] = {}
        self._training: Training | None = None
        self._halted = False
        self._saved_at = time.monotonic()
        self._lock = threading.Lock()

    def leave(self, run_ids: Iterable[str], status: LeaveStatus) -> None:
        """Take runs out before the next step; they end with ``status``."""
        with self._lock:
            for run_id in run_ids:
                self._leaving[run_id] = status
                if self._training is not None:
                    self._training.leave(run_id)

    def halt(self) -> None:
        """Save every run before the next step, and end none of them."""
        with self._lock:
            self._halted = True
            if self._training is not None:
                for claim in self._train.claims:
                    self._training.leave(claim.run_id)

    def run(self) -> None:
        """Train all runs to their ends; what goes wrong ends them with its reason."""
        try:
            with self._workshop.neighbours.at_work():
                self._work()
        except Exception as error:
            LOG.exception("training failed")
            self._fail(error)

    def _work(self) -> None:
        specs = [RunSpec.model_validate_json(json.dumps(claim.spec)) for claim in self._train.claims]
        shop = self._workshop
        route = route_for(specs[0], threads=shop.threads, most_runs=self._train.most_runs, device=shop.device)
        route.enter()
        for claim, spec in zip(self._train.claims, specs, strict=True):
            self._states[claim.run_id] = self._resumed(claim, spec, route)
        self._end_finished()
        going_on = sorted(self._states.values(), key=lambda state: state.epoch)
        for _, group in itertools.groupby(going_on, key=lambda state: state.epoch):
            self._train_together(list(group), route)

    def _resumed(self, claim: Claim, spec: RunSpec, route: Route) -> State:
        """The run as its newest readable checkpoint has it, or as it begins."""
        for checkpoint in claim.checkpoints:
            try:
                tensors = checkpoints.load(self._workshop.checkpoints, checkpoint, self._workshop.device)
            except checkpoints.BadCheckpoint as error:
                LOG.warning("%s: %s; an older one is used", claim.run_id, error)
            else:
                return State(claim, spec, checkpoint.epoch, checkpoint.digest, tensors)
        return State(claim, spec, 0, first_digest(claim.reuse_key, route.determinism_class), None)

    def _end_finished(self) -> None:
        """End the runs whose last epoch was saved before an end could be reported."""
        outcomes = []
        for run_id, state in list(self._states.items()):
            history = {name: values[: state.epoch] for name, values in state.claim.history.items()}
            ended = ended_after(state.spec, state.epoch, history) if state.epoch else None
            if ended is not None:
                stack = self._stack([state])
                outcomes += _outcomes(stack, self._workshop.data(state.spec), [ended])
                del self._states[run_id]
        if outcomes:
            self._say(Ended(outcomes=tuple(outcomes)))

    def _stack(self, states: Sequence[State]) -> Stack:
        """These runs, as they were at the end of their last epochs."""
        stack = Stack([Member(state.claim.run_id, state.spec) for state in states], self._workshop.device)
        for position, state in enumerate(states):
            if state.tensors is not None:
                stack.restore(position, state.tensors)
        return stack

    def _train_together(self, group: Sequence[State], route: Route) -> None:
        """Train runs that begin with the same epoch."""
        device = self._workshop.device
        run_ids = tuple(state.claim.run_id for state in group)
        self._say(Started(run_ids=run_ids, device=str(device), determinism_class=route.determinism_class))
        stack = self._stack(group)
        histories = {state.claim.run_id: state.claim.history for state in group}
        data = self._workshop.data(group[0].spec)
        pace = route.pace(self._workshop.neighbours.count)
        training = Training(stack, data, done=group[0].epoch, history=histories, left=self._left, pace=pace)
        self._follow(training)
        for results in training.epochs():
            self._take(results)

    def _follow(self, training: Training) -> None:
        """From now on ``leave`` and ``halt`` mean this training; catch up on what was said before."""
        with self._lock:
            self._training = training
            gone = [claim.run_id for claim in self._train.claims] if self._halted else list(self._leaving)
            for run_id in gone:
                training.leave(run_id)

    def _take(self, results: Sequence[EpochResult]) -> None:
        """Report an epoch; save what is due."""
        measurements = []
        for result in results:
            state = self._states[result.member.run_id]
            tensors = result.stack.tensors(result.position)
            state.digest = next_digest(state.digest, result.epoch, tensors, result.metrics)
            state.tensors = {name: tensor.clone() for name, tensor in tensors.items()}
            state.epoch, state.saved = result.epoch, False
            measurements.append(_measurement(result, state.digest))
        self._say(Epoch(measurements=tuple(measurements)))
        ended = {result.position: result.ended for result in results if result.ended is not None}
        if time.monotonic() - self._saved_at >= self._workshop.checkpoint_seconds:
            self._save(self._states)
        if not ended:
            return
        stack = results[0].stack.take(list(ended))
        self._save([member.run_id for member in stack.members])
        data = self._workshop.data(stack.members[0].spec)
        self._say(Ended(outcomes=tuple(_outcomes(stack, data, list(ended.values())))))
        for member in stack.members:
            del self._states[member.run_id]

    def _save(self, run_ids: Iterable[str]) -> None:
        """Write the checkpoints of these runs that are not yet on disk."""
        written: dict[str, Checkpoint] = {}
        for run_id in run_ids:
            state = self._states[run_id]
            if not state.saved and state.tensors is not None:
                name = f"{run_id}/attempt{state.claim.attempt:04d}-epoch{state.epoch:06d}.safetensors"
                written[run_id] = checkpoints.save(
                    self._workshop.checkpoints, name, state.tensors, epoch=state.epoch, digest=state.digest
                )
                state.saved = True
        if written:
            self._say(Saved(checkpoints=written))
            self._saved_at = time.monotonic()

    def _left(self, run_ids: Sequence[str]) -> None:
        """Save the runs that left the stack, and end those that were not merely halted."""
        self._save([run_id for run_id in run_ids if self._leaving.get(run_id) != "lost"])
        outcomes = []
        for run_id in run_ids:
            status = self._leaving.get(run_id)
            if status in ("cancelled", "paused"):
                outcomes.append(Outcome(run_id=run_id, status=status))
            del self._states[run_id]
        if outcomes:
            self._say(Ended(outcomes=tuple(outcomes)))

    def _fail(self, error: Exception) -> None:
        """End every run that is left with what went wrong."""
        code, message = _explained(error)
        known = list(self._states) or [claim.run_id for claim in self._train.claims]
        outcomes = tuple(Outcome(run_id=run_id, status="failed", code=code, message=message) for run_id in known)
        self._states = {}
        self._say(Ended(outcomes=outcomes))


def _measurement(result: EpochResult, digest: str) -> Measurement:
    return Measurement(
        run_id=result.member.run_id,
        epoch=result.epoch,
        steps=result.steps,
        metrics=result.metrics,
        seconds=result.seconds,
        digest=digest,
    )


def _outcomes(stack: Stack, data: Data, ended: Sequence[HowItEnded]) -> list[Outcome]:
    """How the runs of ``stack`` ended, with reports on their models."""
    tested = stack.members[0].spec.evaluate.test != "never"
    matrices = confusion(stack, data.test, data.classes).tolist() if tested else []
    outcomes = []
    for position, (member, how) in enumerate(zip(stack.members, ended, strict=True)):
        reports: dict[str, object] = {"weights": parameters_of(stack, position)}
        if tested and how != "diverged":
            reports["confusion"] = matrices[position]
        outcomes.append(_outcome(member.run_id, how, reports))
    return outcomes


def _outcome(run_id: str, ended: HowItEnded, reports: Mapping[str, object]) -> Outcome:
    if ended == "diverged":
        message = (
            "A loss is no longer finite; the history up to there is kept. A lower learning rate is the usual remedy."
        )
        return Outcome(run_id=run_id, status="failed", code="diverged", message=message, reports=reports)
    return Outcome(run_id=run_id, status="succeeded", code=ended, reports=reports)


def _explained(error: Exception) -> tuple[str, str]:
    """A code and a sentence for what ended a job."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error):
        return (
            "out_of_memory",
            "The machine has not enough memory for this model and batch size; make one of them smaller.",
        )
    if isinstance(error, FileNotFoundError):
        return "dataset_missing", str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full", "The disk of the checkpoints is full; the last one is intact. Free some space and retry."
    if isinstance(error, OSError):
        return "storage", f"A file could not be read or written: {error}"
    return "internal_error", f"{type(error).__name__}: {error}. This is a bug; the worker's log has the details."
