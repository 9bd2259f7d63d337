"""The training loop of a stack. An epoch yields its results; the caller stops by no longer iterating."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor

from worker.engine.epochs import Epoch, Strategy
from worker.engine.evaluator import Evaluator, rows_of
from worker.engine.knn import KNNData, NeighborVotes
from worker.engine.progress import GradientDescent
from worker.engine.recorder import EpochResult, Recorder
from worker.engine.stack import Stack
from worker.engine.stack_data import StackData
from worker.engine.thread_tuner import ThreadTuner
from worker.spec.families.schedule import History
from worker.spec.stop_policy import Ending, StopPolicy


class Training:
    """Trains a stack from the epoch after ``done`` on.

    ``history`` holds what each run recorded up to ``done``, for its stop rules. ``leave`` may be called from any
    thread: the run leaves the stack before the next step, ``left`` is called, and the bits of its peers do not change.
    ``tuner`` may change the number of threads between steps.
    """

    def __init__(
        self,
        stack: Stack,
        data: StackData,
        *,
        done: int = 0,
        history: Mapping[str, History] | None = None,
        left: Callable[[Sequence[str]], None] = lambda _: None,
        tuner: ThreadTuner | None = None,
    ) -> None:
        self.stack = stack
        self.epoch = done
        self._evaluate = stack.members[0].spec.evaluate
        self._evaluator = Evaluator(stack.members[0].spec, data)
        self._strategy: Strategy = (
            NeighborVotes(data, self._evaluator.training_rows) if isinstance(data, KNNData) else GradientDescent(data)
        )
        self._policies = {member.run_id: StopPolicy(member.spec) for member in stack.members}
        self._step_limits = {policy.step_limit for policy in self._policies.values()}
        self._recorder = Recorder(stack.members, history or {}, done)
        self._tuner = tuner or ThreadTuner(1)
        self._left = left
        self._leaving: set[str] = set()
        self._lock = threading.Lock()

    def leave(self, run_id: str) -> None:
        """Take a run out of the stack before the next step; nothing more is measured of it."""
        with self._lock:
            self._leaving.add(run_id)

    def epochs(self) -> Iterator[list[EpochResult]]:
        """Train epoch by epoch until no run is left. A result's ``stack`` is valid until the next result."""
        if self.epoch == 0 and self._evaluate.before_training:
            yield from self._untrained()
        while len(self.stack):
            start = time.perf_counter()
            self.prepare()
            if not len(self.stack):
                return
            self.epoch += 1
            epoch = self._strategy.begin(self.stack, self.epoch, self._recorder.histories)
            results: list[EpochResult] = []
            for t in epoch.remaining_steps:
                epoch = self._without_leavers(epoch)
                if not len(epoch.stack):
                    break
                self._tuner.tick()
                epoch.train_step(t)
                if spent := self._at_limit(epoch.stack, t):
                    results += self._conclude(epoch.only(spent), start)
                    epoch = epoch.without(spent)
            if len(epoch.stack):
                results += self._conclude(epoch, start)
            if results:
                yield results
            self.stack = _continuing(epoch.stack, results)

    def prepare(self) -> None:
        """Prepare for evaluation without training; ``epochs`` does this itself."""
        self._let_go()
        if not len(self.stack):
            return
        for _ in self._strategy.prepare(self.stack):
            self._tuner.tick()
            self._let_go()
            if not len(self.stack):
                return

    def _conclude(self, epoch: Epoch, start: float) -> list[EpochResult]:
        """Evaluate the runs of an epoch that began at ``start``, record their metrics, and decide which of them end."""
        stack, metrics = epoch.stack, epoch.measure(self._evaluator)
        due = [i for i, member in enumerate(stack.members) if member.spec.evaluates(self.epoch)]
        self._add(metrics, due, self._evaluator.evaluate, stack)
        ends: list[Ending | None] = []
        for member, measured in zip(stack.members, metrics, strict=True):
            history = self._recorder.record(member, measured)
            ends.append(self._policies[member.run_id].ending(self.epoch, history))
        ended = [i for i, ending in enumerate(ends) if ending is not None]
        self._add(metrics, [i for i in ended if i not in due], self._evaluator.evaluate, stack)
        if self._evaluate.test == "last_epoch":
            self._add(metrics, ended, self._evaluator.evaluate_test, stack)
        seconds = time.perf_counter() - start
        runs = enumerate(zip(stack.members, metrics, ends, strict=True))
        return [EpochResult(m, self.epoch, epoch.steps, one, seconds, end, stack, i) for i, (m, one, end) in runs]

    def _add(
        self,
        metrics: Sequence[dict[str, float]],
        positions: Sequence[int],
        evaluate: Callable[[Stack, int], Mapping[str, Tensor]],
        stack: Stack,
    ) -> None:
        """Evaluate the runs at ``positions`` after this epoch, and add the result to their metrics."""
        if positions:
            measured = rows_of(evaluate(stack.take(positions), self.epoch), len(positions))
            for i, row in zip(positions, measured, strict=True):
                metrics[i].update(row)

    def _untrained(self) -> Iterator[list[EpochResult]]:
        """Evaluate the models before training, as epoch 0."""
        self.prepare()
        if not len(self.stack):
            return
        start = time.perf_counter()
        measured = self._evaluator.evaluate_remembered(self.stack) | self._evaluator.evaluate(self.stack)
        rows = rows_of(measured, len(self.stack))
        seconds = time.perf_counter() - start
        members = enumerate(self.stack.members)
        yield [EpochResult(m, 0, 0, rows[i], seconds, None, self.stack, i) for i, m in members]

    def _at_limit(self, stack: Stack, t: int) -> list[int]:
        """Return the positions of runs of which a stop rule allows no step after ``t``."""
        if t not in self._step_limits:
            return []
        return [i for i, member in enumerate(stack.members) if self._policies[member.run_id].step_limit == t]

    def _let_go(self) -> None:
        """Take the runs that left out of the stack, between epochs."""
        if leaving := set(self._leaving_positions(self.stack)):
            self.stack = self.stack.take([i for i in range(len(self.stack)) if i not in leaving])

    def _without_leavers(self, epoch: Epoch) -> Epoch:
        leaving = self._leaving_positions(epoch.stack)
        return epoch.without(leaving) if leaving else epoch

    def _leaving_positions(self, stack: Stack) -> list[int]:
        """Return the positions of runs that left since the last call, and pass them to ``left``."""
        if not self._leaving:
            return []
        with self._lock:
            leaving, self._leaving = self._leaving, set()
        positions = [i for i, member in enumerate(stack.members) if member.run_id in leaving]
        self._left([stack.members[i].run_id for i in positions])
        return positions


def _continuing(stack: Stack, results: Sequence[EpochResult]) -> Stack:
    """Return the stack of the runs that did not end."""
    continuing = {result.member.run_id for result in results if result.ended is None}
    return stack.take([i for i, member in enumerate(stack.members) if member.run_id in continuing])
