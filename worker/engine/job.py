"""One stack's work in the training process: load, resume from checkpoints, train, save, report."""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import Tensor

from worker import logs
from worker.engine import checkpoints
from worker.engine.baseline import baselines_of
from worker.engine.digest import first_digest, next_digest
from worker.engine.free_memory import release_free_memory
from worker.engine.gemm_backend import GemmBackend, gemm_backend_for
from worker.engine.open_runs import Interrupted, OpenRuns
from worker.engine.outcomes import LeaveStatus, explained, measurement, outcome_of_leaving, outcomes_of
from worker.engine.recorder import EpochResult
from worker.engine.stack import Member, Stack
from worker.engine.stack_data import StackData
from worker.engine.state import Best, State
from worker.engine.training import Training
from worker.engine.worker_context import WorkerContext
from worker.messages import Epoch, Message, Saved, Started, Train
from worker.ports import Claim, Outcome
from worker.spec.best import judged_by
from worker.spec.keys import trajectory_key
from worker.spec.run import RunSpec
from worker.spec.stop_policy import StopPolicy

LOG = logging.getLogger("fitwell.training")


class Job:
    """Trains the runs of one ``Train`` order. ``leave`` and ``halt`` may be called from another thread.

    While the storage is out of reach, the job waits, for as long as the worker lives.
    """

    _data: StackData

    def __init__(self, train: Train, context: WorkerContext, say: Callable[[Message], None]) -> None:
        self._train = train
        self._context = context
        self._say = say
        self._states: dict[str, State] = {}
        self._runs = OpenRuns((claim.run_id for claim in train.claims), say)
        self._training: Training | None = None
        self._saved_at = time.monotonic()
        self._lock = threading.Lock()

    def leave(self, run_ids: Sequence[str], status: LeaveStatus) -> None:
        """Take runs out before the next step; they end with ``status``."""
        with self._lock:
            self._runs.leave(run_ids, status)
            for run_id in run_ids:
                if self._training is not None:
                    self._training.leave(run_id)

    def halt(self) -> None:
        """Save every run before the next step, and end none of them."""
        with self._lock:
            self._runs.halt()
            if self._training is not None:
                for claim in self._train.claims:
                    self._training.leave(claim.run_id)

    def run(self) -> None:
        """Train all runs to their ends; what goes wrong ends them with its reason."""
        with logs.about(run_ids=[claim.run_id for claim in self._train.claims]):
            for store in (self._context.checkpoints, self._context.uploads):
                store.outages = self._runs
            try:
                with self._context.processes.at_work():
                    self._work()
            except Interrupted:
                LOG.info("training ends while the storage is out of reach")
            except Exception as error:
                LOG.exception("training failed")
                self._runs.note(self._runs.ids, "".join(traceback.format_exception(error)).strip(), "error")
                self._fail(error)

    def _work(self) -> None:
        specs = [RunSpec.of(claim.spec) for claim in self._train.claims]
        context = self._context
        self._data = context.data(specs)
        backend = gemm_backend_for(
            specs[0], threads=context.threads, max_runs=self._train.max_runs, device=context.device
        )
        backend.activate()
        release_free_memory()
        for claim, spec in zip(self._train.claims, specs, strict=True):
            if claim.run_id in self._runs:
                self._states[claim.run_id] = self._resumed(claim, spec, backend)
        self._end_finished()
        self._data.clear_teacher_logits()
        self._load_teacher_logits()
        backend.activate()  # a teacher's own may be another one
        self._states = self._runs.among(self._states)
        going_on = sorted(self._states.values(), key=lambda state: state.epoch)
        for _, group in itertools.groupby(going_on, key=lambda state: state.epoch):
            self._train_together(list(group), backend)

    def _resumed(self, claim: Claim, spec: RunSpec, backend: GemmBackend) -> State:
        """The run as its newest readable checkpoint has it, or as it begins."""
        preparation = self._data.preparation_of(Member(claim.run_id, spec))
        for checkpoint in claim.checkpoints:
            try:
                tensors = checkpoints.load(self._context.checkpoints, checkpoint, self._context.device)
            except checkpoints.BadCheckpoint as error:
                LOG.warning("%s: %s; an older one is used", claim.run_id, error)
                self._runs.note([claim.run_id], f"{error}; what came before it is used", "warning")
            else:
                self._runs.note([claim.run_id], f"resumes from its checkpoint of epoch {checkpoint.epoch}")
                best = Best.of(claim.history, checkpoint.epoch)
                return State(claim, spec, checkpoint.epoch, checkpoint.digest, tensors, best, preparation=preparation)
        digest = first_digest(trajectory_key(spec), backend.determinism_class)
        return State(claim, spec, 0, digest, None, Best(), self._warm(claim), preparation)

    def _warm(self, claim: Claim) -> Mapping[str, Tensor] | None:
        """Return the initial weights of a warm start.

        Raises:
            BadCheckpoint: the file of weights is missing or altered.
        """
        for file in claim.weights:
            if file.at == "start":
                self._runs.note([claim.run_id], f"begins with the weights of sha256:{file.sha256}")
                return checkpoints.load(self._context.checkpoints, file, self._context.device)
        return None

    def _end_finished(self) -> None:
        """End the runs whose last epoch was saved before an end could be reported."""
        for run_id, state in list(self._states.items()):
            history = {name: values[: state.epoch] for name, values in state.claim.history.items()}
            ended = StopPolicy(state.spec).ending(state.epoch, history) if state.epoch else None
            if ended is not None:
                stack = self._stack([state])
                Training(stack, self._data).prepare()
                outcomes = outcomes_of(stack, self._data, [ended])
                self._save([run_id], ended=True)
                self._runs.end(outcomes)
                del self._states[run_id]

    def _load_teacher_logits(self) -> None:
        """Have every teacher say what it has to say; end the runs whose teachers cannot be read."""
        for run_id, state in list(self._states.items()):
            try:
                self._context.teach(state.claim, state.spec, self._data)
            except (checkpoints.BadCheckpoint, FileNotFoundError) as error:
                self._runs.note([run_id], str(error), "error")
                code, message = explained(error)
                self._runs.end([Outcome(run_id=run_id, status="failed", code=code, message=message)])
                del self._states[run_id]

    def _stack(self, states: Sequence[State]) -> Stack:
        """These runs, as they were at the end of their last epochs."""
        stack = Stack([Member(state.claim.run_id, state.spec) for state in states], self._context.device)
        for position, state in enumerate(states):
            if state.tensors is not None:
                stack.restore(position, state.tensors)
            elif state.weights is not None:
                stack.restore(position, {**stack.tensors(position), **state.weights})
        return stack

    def _train_together(self, group: Sequence[State], backend: GemmBackend) -> None:
        """Train runs that begin with the same epoch."""
        device = self._context.device
        run_ids = tuple(state.claim.run_id for state in group)
        stack = self._stack(group)
        baselines = dict(zip(run_ids, map(dict, baselines_of(stack, self._data)), strict=True))
        self._say(
            Started(
                run_ids=run_ids,
                device=str(device),
                determinism_class=backend.determinism_class,
                baselines=baselines,
            )
        )
        of = "alone" if len(group) == 1 else f"in a stack of {len(group)}"
        place = f"from epoch {group[0].epoch + 1} on {device}, {backend.library}, up to {backend.threads} thread(s)"
        self._runs.note(run_ids, f"trains {of} {place}; bits: {backend.determinism_class}")
        histories = {state.claim.run_id: state.claim.history for state in group}
        tuner = backend.thread_tuner(self._context.processes.count)
        training = Training(stack, self._data, done=group[0].epoch, history=histories, left=self._left, tuner=tuner)
        self._follow(training)
        for results in training.epochs():
            self._take(results)

    def _follow(self, training: Training) -> None:
        """From now on ``leave`` and ``halt`` mean this training; catch up on what was said before."""
        with self._lock:
            self._training = training
            leaving = [claim.run_id for claim in self._train.claims] if self._runs.halted else list(self._runs.leaving)
            for run_id in leaving:
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
            value = result.metrics.get(judged_by(result.metrics), math.nan)
            state.best.look(result.epoch, value if math.isfinite(value) else None, state.tensors)
            measurements.append(measurement(result, state.digest))
        self._say(Epoch(measurements=tuple(measurements)))
        ended = {result.position: result.ended for result in results if result.ended is not None}
        if time.monotonic() - self._saved_at >= self._context.checkpoint_seconds:
            ending = {result.member.run_id for result in results if result.ended is not None}  # saved below, once
            self._save([run_id for run_id in self._states if run_id not in ending])
        if not ended:
            return
        stack = results[0].stack.take(list(ended))
        self._save([member.run_id for member in stack.members], ended=True)
        self._runs.end(outcomes_of(stack, self._data, list(ended.values())))
        for member in stack.members:
            del self._states[member.run_id]

    def _save(self, run_ids: Iterable[str], *, ended: bool = False) -> None:
        """Write the checkpoints of these runs that are not yet on disk, and the weights of their best epochs.

        For those that ``ended``, also write their current weights. Other processes can read the files before the
        message is sent.
        """
        store = self._context.checkpoints
        directory = store.home
        states = [self._states[run_id] for run_id in run_ids]
        written = {state.claim.run_id: file for state in states if (file := state.save(directory)) is not None}
        weights = {
            state.claim.run_id: files for state in states if (files := state.save_weights(directory, ended=ended))
        }
        if written or weights:
            paths = {file.path for file in written.values()} | {file.path for some in weights.values() for file in some}
            store.push_all(paths)
            written, weights = self._runs.among(written), self._runs.among(weights)
            self._say(Saved(checkpoints=written, weights=weights))
            self._saved_at = time.monotonic()

    def _left(self, run_ids: Sequence[str]) -> None:
        """Save the runs that left the stack, and end those that were not merely halted."""
        leaving = self._runs.leaving
        how = self._runs.among({run_id: leaving.get(run_id) for run_id in run_ids})
        self._save([run_id for run_id, status in how.items() if status in (None, "paused")])
        self._save([run_id for run_id, status in how.items() if status in ("cancelled", "timed_out")], ended=True)
        self._runs.end(outcome_of_leaving(run_id, status) for run_id, status in how.items())
        self._runs.drop(run_ids)
        for run_id in run_ids:
            del self._states[run_id]

    def _fail(self, error: Exception) -> None:
        """End every run that is left with the reason."""
        code, message = explained(error)
        self._states = {}
        self._runs.end([Outcome(run_id=i, status="failed", code=code, message=message) for i in self._runs.ids])
