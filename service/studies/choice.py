"""The arm that a study chooses, how sure that is, and its spec, ready to train on all rows."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.errors import FieldError, SpecRefused
from service.runs.states import TERMINAL
from service.statistics.choice import Choice, Rule, choose
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.comparison import LOWER, check_at, check_metric
from service.studies.errors import NothingToChoose
from service.studies.measurements import NOTHING, check_known, epoch_of, kept_series, measured, placed
from service.studies.simplicity import Order, Specs, asked, inferred
from worker.spec.run import RunSpec

SEED = 0
"""Of the chosen spec."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How to choose; None is what the study says."""

    rule: Rule = "best"
    metric: str | None = None
    at: str | None = None
    simpler: Sequence[str] = ()
    """``path:desc`` where a larger number is simpler, ``path:asc`` where a smaller one is; the first that differs."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The choice, with what it was asked of."""

    study_id: str
    metric: str
    at: str
    rule: Rule
    orders: Sequence[Order]
    exploratory: bool
    optimistic: bool
    """Whether the test set had a part in it."""
    lower_is_better: bool
    folds: int | None
    complete: bool
    choice: Choice
    spec: Mapping[str, Any]
    """The chosen arm's, without its fold."""
    epochs: int
    """Of the study's runs."""

    @property
    def within(self) -> int:
        """How many arms are as good as the best within one standard error, itself among them."""
        return sum(one.within for one in self.choice.candidates)

    @property
    def explanation(self) -> str:
        """The choice in a few sentences."""
        told = [self._told_of_best, self._told_of_others]
        if self.spec["epochs"] != self.epochs:
            told.append(f"Its spec trains for {self.spec['epochs']} epochs, the median of those that were compared.")
        left_out = sum(one.mean is None for one in self.choice.candidates)
        if left_out:
            told.append(f"Left out of the choice: {left_out} of the arms; runs of theirs diverged or are not measured.")
        return " ".join(filter(None, told))

    @property
    def _told_of_best(self) -> str:
        best = next(one for one in self.choice.candidates if one.id == self.choice.best)
        seeds = "1 seed" if len(self.choice.seeds) == 1 else f"{len(self.choice.seeds)} seeds"
        over = f"{self.folds} folds and {seeds}" if self.folds else seeds
        error = "" if best.standard_error is None else f", with a standard error of {best.standard_error:.2g}"
        which = "lowest" if self.lower_is_better else "highest"
        return f"{best.id!r} has the {which} mean {self.at} {self.metric} over {over}: {best.mean:.4g}{error}."

    @property
    def _told_of_others(self) -> str:
        if self.choice.threshold is None:
            return ""
        among = f"{self.within} of {len(self.choice.candidates)} arms"
        told = f"Within one standard error of it {'is' if self.within == 1 else 'are'} {among}"
        if self.rule == "best":
            return f"{told}."
        ends = [
            f"{one.path}, the {'larger' if one.direction == 'desc' else 'smaller'} the simpler" for one in self.orders
        ]
        return f"{told}; the simplest of them is {self.choice.chosen!r} (by {'; then '.join(ends)})."


def answer(connection: sa.Connection, study: Row, wish: Wish) -> Chosen:
    """Choose among the study's arms.

    Raises:
        SpecRefused: there is no such metric, epoch or path, it is not known which arm is simpler, or the choice would
            be made on the test set.
        NothingToChoose: no seed is whole in every arm.
    """
    metric, at, folds = wish.metric or study.metric, wish.at or study.at, study.request.get("folds")
    check_metric(metric, "metric")
    check_at(at, "at")
    specs = studies.spec_of_each_arm(connection, study.id)
    orders = [asked(one, specs) for one in wish.simpler]
    if wish.rule == "one_standard_error" and not orders and len(study.arms) > 1:
        orders = [inferred(study, specs)]
    runs = studies.runs_of(connection, study.id, folds=folds is not None)
    optimistic = _on_test(metric, at, runs, specs)
    kept = kept_series(connection, study.id, runs, [metric])
    check_known(kept, metric, runs)
    places = placed(runs, [(run.arm, "") for run in runs], folds)
    found = choose(
        measured(places, kept, metric, at),
        arms=[arm["id"] for arm in study.arms],
        rule=wish.rule,
        simplicity={arm: tuple(order.rank(spec) for order in orders) for arm, spec in specs.items()},
        lower_is_better=bool(LOWER.search(metric)),
        on_folds=folds is not None,
    )
    choice = _possible(found, wish.rule, runs)
    mine = [one.run for one in places if one.group == choice.chosen and one.seed in choice.seeds and one.run]
    epochs = [epoch_of(run, kept.get((run.id, metric), NOTHING), at) for run in mine]
    return Chosen(
        study_id=study.id,
        metric=metric,
        at=at,
        rule=wish.rule,
        orders=orders,
        exploratory=(metric, at) != (study.metric, study.at),
        optimistic=optimistic,
        lower_is_better=bool(LOWER.search(metric)),
        folds=folds,
        complete=all(run.status in TERMINAL for run in runs),
        choice=choice,
        spec=_on_all_rows(specs[choice.chosen], None if folds is None else epochs),
        epochs=specs[choice.chosen]["epochs"],
    )


def _on_test(metric: str, at: str, runs: Sequence[Row], specs: Specs) -> bool:
    """Whether the choice looks at the test set, which every arm must allow.

    Raises:
        SpecRefused: one does not.
    """
    of_test = metric.startswith("test.")
    if not of_test and not (at == "best" and any((run.best or {}).get("optimistic") for run in runs)):
        return False
    if all(spec["allow_test_selection"] for spec in specs.values()):
        return True
    message = (
        f"Choosing by {metric if of_test else 'epochs that are best on the test data'} makes the test data part of the "
        "training, and their losses too good. Choose by val.loss (folds, or dataset.validation_size, hold rows out for "
        "it), or say allow_test_selection: true in the base."
    )
    raise SpecRefused(message, errors=[FieldError("metric" if of_test else "at", "test_selection", message)])


def _possible(choice: Choice | None, rule: Rule, runs: Sequence[Row]) -> Choice:
    if choice is None:
        going_on = sum(run.status not in TERMINAL for run in runs)
        why = f"{going_on} runs have not ended" if going_on else "runs failed, were cancelled, diverged or are gone"
        raise NothingToChoose(f"No seed is measured, on every fold, in all arms that could be chosen: {why}.")
    if rule == "one_standard_error" and choice.threshold is None:
        message = (
            "One seed without folds has no standard error: add seeds, make the study with folds, or ask for the best."
        )
        raise SpecRefused(message, errors=[FieldError("rule", "no_spread", message)])
    return choice


def _on_all_rows(stored: Mapping[str, Any], epochs: Sequence[int] | None) -> Mapping[str, Any]:
    """An arm's spec with seed 0; where it was trained on folds, which were looked at in these ``epochs``, on all rows.

    Then nothing tells when to stop: it trains for their median, and rules that watch what validates are left out.
    """
    spec = RunSpec.model_validate_json(json.dumps(stored)).model_copy(update={"seed": SEED})
    if epochs is not None:
        middle = math.floor(statistics.median(epochs) + 0.5)
        spec = spec.model_copy(update={"dataset": spec.dataset.held_out(None), "epochs": middle})
        spec = spec.model_copy(update={"stop": tuple(rule for rule in spec.stop if not rule.objections(spec))})
    return spec.model_dump(mode="json")
