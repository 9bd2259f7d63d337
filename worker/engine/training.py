"""The training loop of a stack. An epoch yields a measurement; the caller stops by no longer iterating."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from worker.engine.evaluation import evaluate, recovery, variance, weights_of
from worker.engine.progress import Progress
from worker.engine.rows import SUBSET_ROWS, EvaluationRows
from worker.engine.stack import Member, Stack
from worker.engine.stack_data import StackData
from worker.engine.thread_tuner import ThreadTuner
from worker.spec.families.loss import RowTargets
from worker.spec.families.regularizer import adds_penalty, defines
from worker.spec.run import RunSpec

Ended = Literal["finished", "stopped_early", "diverged"]
History = dict[str, list[float | None]]


@dataclass(frozen=True)
class EpochResult:
    """The result of one run's epoch; the run's state is at ``position`` of ``stack``."""

    member: Member
    epoch: int
    steps: int
    metrics: dict[str, float]
    seconds: float
    """Wall time of the epoch, evaluation included, of the whole stack."""
    ended: Ended | None
    """None while the run continues."""
    stack: Stack
    position: int


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
        history: Mapping[str, Mapping[str, Sequence[float | None]]] | None = None,
        left: Callable[[Sequence[str]], None] = lambda _: None,
        tuner: ThreadTuner | None = None,
    ) -> None:
        self._tuner = tuner or ThreadTuner(1)
        self._left = left
        self.stack = stack
        self.data = data
        self.epoch = done
        self._histories: dict[str, History] = {
            member.run_id: {name: list(s[:done]) for name, s in (history or {}).get(member.run_id, {}).items()}
            for member in stack.members
        }
        self._spec = stack.members[0].spec
        self._leaving: set[str] = set()
        self._variances: dict[tuple[str, str], Tensor] = {}
        self._lock = threading.Lock()

    def leave(self, run_id: str) -> None:
        """Take a run out of the stack before the next step; nothing more is measured of it."""
        with self._lock:
            self._leaving.add(run_id)

    def prepare(self) -> None:
        """Prepare for evaluation without training; ``epochs`` does this itself."""

    def epochs(self) -> Iterator[list[EpochResult]]:
        """Train epoch by epoch until no run is left. A result's ``stack`` is valid until the next result."""
        if self.epoch == 0 and self._spec.evaluate.before_training:
            yield self._untrained()
        while len(self.stack):
            self.epoch += 1
            results = self._train_epoch()
            if results:
                yield results
            going_on = {result.member.run_id for result in results if result.ended is None}
            self.stack = self.stack.take([i for i, m in enumerate(self.stack.members) if m.run_id in going_on])

    def _untrained(self) -> list[EpochResult]:
        """Epoch 0: the model before training, evaluated."""
        start = time.perf_counter()
        rows = rows_of(self._evaluated(self.stack), len(self.stack))
        seconds = time.perf_counter() - start
        members = enumerate(self.stack.members)
        return [EpochResult(m, 0, 0, rows[i], seconds, None, self.stack, i) for i, m in members]

    def _train_epoch(self) -> list[EpochResult]:
        """One pass over each run's order of the data; returns the results of the runs that stay."""
        start = time.perf_counter()
        progress = Progress(self.stack, self.data, self.epoch)
        results: list[EpochResult] = []
        for t in range((self.epoch - 1) * self._spec.steps_per_epoch + 1, self.epoch * self._spec.steps_per_epoch + 1):
            progress = self._without_leavers(progress)
            if not len(progress.stack):
                break
            self._tuner.tick()
            progress.train_step(t)
            spent = [i for i, member in enumerate(progress.stack.members) if _step_limit(member.spec) == t]
            if spent:
                results += self._results(progress.only(spent), start)
                progress = progress.without(spent)
        self.stack = progress.stack
        return results + self._results(progress, start) if len(progress.stack) else results

    def _without_leavers(self, progress: Progress) -> Progress:
        leaving_positions = self._leaving_positions(progress.stack)
        return progress.without(leaving_positions) if leaving_positions else progress

    def _leaving_positions(self, stack: Stack) -> list[int]:
        """Return the positions of runs that left since the last call, and pass them to ``left``."""
        if not self._leaving:
            return []
        with self._lock:
            leaving, self._leaving = self._leaving, set()
        leaving_positions = [i for i, member in enumerate(stack.members) if member.run_id in leaving]
        self._left([stack.members[i].run_id for i in leaving_positions])
        return leaving_positions

    def _results(self, progress: Progress, start: float) -> list[EpochResult]:
        """Measure the runs of ``progress`` and decide which of them end here."""
        stack = progress.stack
        penalties, teacher_losses = progress.penalties(), progress.teacher_losses().tolist()
        norm, zeros = weights_of(stack)
        columns = {
            **self._named(stack, "train", "", progress.losses(), self.data.y_of_splits, self.data.weights_of_splits),
            **self._evaluated(stack),
        }
        columns |= {"weights.norm": norm, "weights.zeros": zeros}
        rows = rows_of(columns, len(stack))
        recovered = rows_of(self._recovered(stack), len(stack))
        measured = []
        for i, member in enumerate(stack.members):
            own = sorted({part.kind for part in member.spec.regularizers if adds_penalty(part)})
            terms = {f"penalty.{kind}": penalties[kind][i].item() if kind in penalties else 0.0 for kind in own}
            objective = rows[i]["train.loss"] + sum(terms.values())
            parts = member.spec.regularizers
            taught = {f"{part.kind}.loss": teacher_losses[i] for part in parts if defines(type(part), "teach")}
            recovered_metrics = {} if any(part.changes_evaluation for part in parts) else recovered[i]
            more = {**terms, **taught, **recovered_metrics, "lr": progress.learning_rates[i]}
            measured.append({**rows[i], "train.objective": objective, **more})
        return self._concluded(stack, progress.steps, measured, start)

    def _concluded(
        self, stack: Stack, steps: int, measured: Sequence[dict[str, float]], start: float
    ) -> list[EpochResult]:
        """The results of an epoch that began at ``start``, given what was measured of each run."""
        results = []
        for i, (member, metrics) in enumerate(zip(stack.members, measured, strict=True)):
            ended = self._verdict(member, metrics)
            results.append(EpochResult(member, self.epoch, steps, metrics, 0.0, ended, stack, i))
        if self._spec.evaluate.test == "last_epoch":
            results = self._with_test(results)
        seconds = time.perf_counter() - start
        return [replace(result, seconds=seconds) for result in results]

    def _evaluated(self, stack: Stack) -> dict[str, Tensor]:
        """Losses and accuracies in evaluation mode, as the spec asks for them in every epoch; tensors (K,)."""
        measured: dict[str, Tensor] = {}
        for name, suffix, split in self._splits():
            measured |= self._measured(stack, name, suffix, split)
        return measured

    def _splits(self) -> list[tuple[str, str, EvaluationRows]]:
        """Return the evaluations of every epoch: split, suffix of its series, rows."""
        evaluate = self._spec.evaluate
        splits: list[tuple[str, str, EvaluationRows]] = []
        if evaluate.train != "never":
            splits.append(("train", "_eval", self.data.training(self._training_rows)))
        if self.data.validation.size:
            splits.append(("val", "", self.data.validation))
        if evaluate.test == "every_epoch":
            splits.append(("test", "", self.data.test))
        return splits

    def _measured(self, stack: Stack, split: str, suffix: str, rows: EvaluationRows) -> dict[str, Tensor]:
        """Evaluate one split; return its series by name."""
        evaluation = evaluate(stack, rows, self.data.class_weights_of(stack.members))
        unit, zero = self.data.units_of(stack.members), self.data.zeros_of(stack.members)
        targets = RowTargets(evaluation.y, evaluation.weights, self.data.spec.outputs, unit, zero)
        more = self._spec.effective_loss.evaluation_metrics(evaluation.scores, targets)
        return {
            **self._named(stack, split, suffix, (evaluation.loss, evaluation.statistic), rows.y, rows.weights),
            **{f"{split}.{name}{suffix}": values for name, values in more.items()},
        }

    def _named(
        self,
        stack: Stack,
        split: str,
        suffix: str,
        means: tuple[Tensor, Tensor],
        y: Tensor,
        weights: Tensor | None,
    ) -> dict[str, Tensor]:
        """The series of one split by name: its mean loss, and the scores made of its mean mark and its targets."""
        effective_loss = self._spec.effective_loss
        loss, mark = means
        spread = mark
        if effective_loss.task == "regression":
            if (split, suffix) not in self._variances:  # the rows of a part are the same in every epoch
                self._variances[split, suffix] = variance(y, weights)
            spread = self.data.of_runs(self._variances[split, suffix], stack.members)
        scores = effective_loss.metrics(mark, spread, self.data.units_of(stack.members))
        return {f"{split}.loss{suffix}": loss, **{f"{split}.{name}{suffix}": score for name, score in scores.items()}}

    def _recovered(self, stack: Stack) -> dict[str, Tensor]:
        """How near a linear model has come to the coefficients that made the data, where those are known."""
        known = self.data.coefficients
        return {} if known is None or self._spec.model.kind != "linear" else recovery(stack.matrices[0][0], known)

    @property
    def _training_rows(self) -> int:
        """Of how many training rows the loss in evaluation mode is measured."""
        return len(self.data) if self._spec.evaluate.train == "full" else min(SUBSET_ROWS, len(self.data))

    def _with_test(self, results: list[EpochResult]) -> list[EpochResult]:
        """The same, with test losses for the runs that end here."""
        ended = [i for i, result in enumerate(results) if result.ended]
        if not ended:
            return results
        stack = results[0].stack.take([results[i].position for i in ended])
        measured = rows_of(self._measured(stack, "test", "", self.data.test), len(stack))
        for i, row in zip(ended, measured, strict=True):
            results[i] = replace(results[i], metrics={**results[i].metrics, **row})
        return results

    def _verdict(self, member: Member, metrics: Mapping[str, float]) -> Ended | None:
        """Add the epoch to the run's history, and whether and why the run ends after it."""
        history = self._histories[member.run_id]
        for name, value in metrics.items():
            history.setdefault(name, []).append(value if math.isfinite(value) else None)
        return ended_after(member.spec, self.epoch, history)


def ended_after(spec: RunSpec, epoch: int, history: Mapping[str, Sequence[float | None]]) -> Ended | None:
    """Whether and why a run ends after ``epoch``: a pure function of what is recorded, so resumed runs decide alike."""
    if any(values and values[-1] is None for name, values in history.items() if ".loss" in name):
        return "diverged"
    if epoch >= spec.epochs:
        return "finished"
    limit = _step_limit(spec)
    if limit is not None and limit <= epoch * spec.steps_per_epoch:
        return "stopped_early"
    return "stopped_early" if any(rule.stopped(history) for rule in spec.stop) else None


def rows_of(columns: Mapping[str, Tensor], count: int) -> list[dict[str, float]]:
    """Tensors (K,) by name, turned into a dictionary for each run."""
    lists = {name: column.tolist() for name, column in columns.items()}
    return [{name: column[i] for name, column in lists.items()} for i in range(count)]


def _step_limit(spec: RunSpec) -> int | None:
    """The fewest steps that any stop rule allows."""
    return min((limit for rule in spec.stop if (limit := rule.step_limit()) is not None), default=None)
