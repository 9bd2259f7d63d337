"""The choice of a study's arm, its uncertainty, and the chosen spec, ready to train on all rows."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.errors import SpecRefused
from service.runs.states import TERMINAL
from service.statistics.choice import Choice, Rule, choose
from service.statistics.pairing import Measurement
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.datasets import placed_arms
from service.studies.errors import NothingToChoose
from service.studies.looks import not_yet
from service.studies.measurements import measure
from service.studies.metrics import EpochRule, check_at, check_metric, lower_is_better, rows_of
from service.studies.simplicity import Order, Specs, infer_order, parse_order
from service.studies.study_data import StudyData, epoch_rule, read_study
from worker.spec.run import RunSpec

SEED = 0
"""Seed of the chosen spec."""


@dataclass(frozen=True, kw_only=True)
class ChoiceQuery:
    """How to choose; None stands for the study's own metric (on validation rows, if it has some) and epoch."""

    rule: Rule = "best"
    metric: str | None = None
    at: str | None = None
    epoch_by: str | None = None
    """The metric that chooses the best epoch; None for the study's, or for the metric to choose by."""
    simpler: Sequence[str] = ()
    """``path:desc`` if a larger number is simpler, ``path:asc`` if a smaller one is; the first that differs decides."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The choice, with its metric, epoch and rule."""

    study_id: str
    metric: str
    at: str
    epoch_by: str | None
    """The metric that chose the epochs; None if none was chosen."""
    rule: Rule
    orders: Sequence[Order]
    exploratory: bool
    optimistic: bool
    """Whether the test set influenced the choice."""
    lower_is_better: bool
    folds: int | None
    on_splits: bool
    """Whether values are means of a split's seeds."""
    complete: bool
    choice: Choice
    spec: Mapping[str, Any]
    """The chosen arm's spec, without a fold."""
    epochs: int
    """Epochs of the chosen arm's runs in the study."""

    @property
    def within(self) -> int:
        """Number of arms as good as the best within one standard error, including the best."""
        return sum(one.within for one in self.choice.candidates)

    @property
    def explanation(self) -> str:
        """The choice in a few sentences."""
        sentences = [self._sentence_on_best, self._sentence_on_others]
        if self.spec["epochs"] != self.epochs:
            sentences.append(f"Its spec trains for {self.spec['epochs']} epochs, the median of those compared.")
        left_out = sum(one.mean is None for one in self.choice.candidates)
        if left_out:
            arms = "1 arm" if left_out == 1 else f"{left_out} arms"
            sentences.append(f"Excluded from the choice: {arms} with runs that diverged or are not measured.")
        return " ".join(filter(None, sentences))

    @property
    def _sentence_on_best(self) -> str:
        best = next(one for one in self.choice.candidates if one.id == self.choice.best)
        unit = "split" if self.on_splits else "seed"
        seeds = f"1 {unit}" if len(self.choice.seeds) == 1 else f"{len(self.choice.seeds)} {unit}s"
        over = f"{self.folds} folds and {seeds}" if self.folds else seeds
        error = "" if best.standard_error is None else f", with a standard error of {best.standard_error:.2g}"
        which = "lowest" if self.lower_is_better else "highest"
        return f"{best.id!r} has the {which} mean {self.at} {self.metric} over {over}: {best.mean:.4g}{error}."

    @property
    def _sentence_on_others(self) -> str:
        if self.choice.threshold is None:
            return ""
        among = f"{self.within} of {len(self.choice.candidates)} arms"
        sentence = f"Within one standard error of it {'is' if self.within == 1 else 'are'} {among}"
        if self.rule == "best":
            return f"{sentence}."
        ends = [
            f"{one.path}, the {'larger' if one.direction == 'desc' else 'smaller'} the simpler" for one in self.orders
        ]
        return f"{sentence}; the simplest of them is {self.choice.chosen!r} (by {'; then '.join(ends)})."


def choose_arm(connection: sa.Connection, study: Row, query: ChoiceQuery) -> Chosen:
    """Choose among the study's arms.

    Raises:
        SpecRefused: The metric, epoch or path does not exist, the order of simplicity is unknown, the study has several
            datasets, or the choice would use the test set.
        NothingToChoose: The study's look is not due, or no seed is complete in every arm.
    """
    _check_one_dataset(study)
    specs = studies.spec_of_each_arm(connection, study.id)
    own_metric = _selection_metric(study, specs)
    metric, at, folds = query.metric or own_metric, query.at or study.at, study.request.get("folds")
    check_metric(metric, "metric")
    check_at(at, "at")
    epochs_by = _epochs_by(study, at, metric, query.epoch_by)
    orders = [parse_order(one, specs) for one in query.simpler]
    if query.rule == "one_standard_error" and not orders and len(study.arms) > 1:
        orders = [infer_order(study, specs)]
    data = read_study(connection, study, ("arm",), metric, epochs_by, ())
    runs, values, slots, design = data.runs, data.values, data.slots, data.design
    optimistic = _on_test(metric, epochs_by, runs, specs, "at" if query.epoch_by is None else "epoch_by")
    pending = not_yet(study, runs)
    if pending is not None and pending.code != "seeds_left_out":
        raise NothingToChoose(pending.message)
    result = choose(
        measure(slots, values, metric, epochs_by),
        arms=[arm["id"] for arm in study.arms],
        rule=query.rule,
        simplicity={arm: tuple(order.rank(spec) for order in orders) for arm, spec in specs.items()},
        lower_is_better=lower_is_better(metric),
        on_folds=folds is not None,
    )
    choice = _checked(result, query.rule, runs)
    chosen_runs = [slot.run for slot in slots if slot.group == choice.chosen and slot.seed in choice.seeds and slot.run]
    epochs = [epochs_by.epoch(run, values, metric) for run in chosen_runs]
    return Chosen(
        study_id=study.id,
        metric=metric,
        at=at,
        epoch_by=epochs_by.chosen_by(runs),
        rule=query.rule,
        orders=orders,
        exploratory=(metric, epochs_by) != (own_metric, _epochs_by(study, study.at, own_metric)),
        optimistic=optimistic,
        lower_is_better=lower_is_better(metric),
        folds=folds,
        on_splits=design.seeds_within_split is not None,
        complete=all(run.status in TERMINAL for run in runs),
        choice=choice,
        spec=_on_all_rows(specs[choice.chosen], None if folds is None else epochs),
        epochs=specs[choice.chosen]["epochs"],
    )


def best_arm(study: Row, measurements: Sequence[Measurement], data: StudyData, lower_is_better: bool) -> Choice | None:
    """Return the choice of the best arm by any metric; None if no arm is measured, or arms have different datasets."""
    if len({placed.dataset for placed in placed_arms(study).values()}) > 1:
        return None
    return choose(
        measurements,
        arms=data.groups,
        rule="best",
        simplicity={},
        lower_is_better=lower_is_better,
        on_folds=data.design.folds is not None,
    )


def _check_one_dataset(study: Row) -> None:
    """Refuse to choose between arms on different datasets.

    Raises:
        SpecRefused: The study has several datasets.
    """
    if len(study.request.get("datasets") or ()) > 1:
        message = (
            "The study has several datasets, and their metrics do not compare. Rank its arms over all datasets with "
            f"GET /v1/studies/{study.id}/across-datasets, or submit a study of one dataset, which reuses these runs."
        )
        raise SpecRefused.at("", "several_datasets", message)


def _selection_metric(study: Row, specs: Specs) -> str:
    """Return the study's metric, on validation rows instead of test rows if every arm has some."""
    lenient = all(spec["allow_test_selection"] for spec in specs.values())
    held_out = all(spec["dataset"].get("fold") or spec["dataset"]["validation_size"] for spec in specs.values())
    if rows_of(study.metric) != "test" or lenient or not held_out:
        return str(study.metric)
    return f"val.{study.metric.partition('.')[2]}"


def _epochs_by(study: Row, at: str, metric: str, epoch_by: str | None = None) -> EpochRule:
    """Return the rule for the epoch ``at``; unless requested, ``metric`` chooses the best if it is on held-out rows."""
    rule = epoch_rule(study, at, epoch_by)
    own = at == "best" and rule.by is None and rows_of(metric) in ("val", "test")
    return EpochRule(at, metric) if own else rule


def _on_test(metric: str, epochs_by: EpochRule, runs: Sequence[Row], specs: Specs, pointer: str) -> bool:
    """Return whether the choice uses the test set, which every arm must allow.

    Raises:
        SpecRefused: An arm does not allow it.
    """
    of_test = rows_of(metric) == "test"
    if not of_test and rows_of(epochs_by.chosen_by(runs) or "") != "test":
        return False
    if all(spec["allow_test_selection"] for spec in specs.values()):
        return True
    message = (
        f"Choosing by {metric if of_test else 'epochs that are best on the test data'} makes the test data part of the "
        "training, so their losses come out too low. Choose by val.loss (hold rows out for it with folds or "
        "dataset.validation_size), or set allow_test_selection: true in the base."
    )
    raise SpecRefused.at("metric" if of_test else pointer, "test_selection", message)


def _checked(choice: Choice | None, rule: Rule, runs: Sequence[Row]) -> Choice:
    if choice is None:
        active = sum(run.status not in TERMINAL for run in runs)
        why = f"{active} runs have not ended" if active else "runs failed, were cancelled or deleted, or diverged"
        raise NothingToChoose(f"No seed is measured, on every fold, in all arms that could be chosen: {why}.")
    if rule == "one_standard_error" and choice.threshold is None:
        message = (
            "One seed without folds has no standard error. Add seeds, create the study with folds, or use rule=best."
        )
        raise SpecRefused.at("rule", "no_spread", message)
    return choice


def _on_all_rows(stored: Mapping[str, Any], epochs: Sequence[int] | None) -> Mapping[str, Any]:
    """Return an arm's spec with seed 0 and, if it was trained on folds, for training on all rows.

    Without a validation fold nothing decides when to stop: the spec trains for the median of ``epochs``, the folds'
    selected epochs, and drops stop rules that need validation data.
    """
    spec = RunSpec.model_validate_json(json.dumps(stored)).model_copy(update={"seed": SEED})
    if epochs is not None:
        middle = math.floor(statistics.median(epochs) + 0.5)
        spec = spec.model_copy(update={"dataset": spec.dataset.held_out(None), "epochs": middle})
        spec = spec.model_copy(update={"stop": tuple(rule for rule in spec.stop if not rule.objections(spec))})
    return spec.model_dump(mode="json")
