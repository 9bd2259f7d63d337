"""Rules: the verdict on a claim follows from the comparison, and a false claim is not reproduced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from service.reproductions.judgment import Judgment
from service.reproductions.rule import Rule
from service.reproductions.rules import AnyRule, Bound, Direction, Equivalence, Figure, Order
from service.statistics.comparison import compare
from service.statistics.pairing import Measurement, State

LOSSES = [0.50, 0.52, 0.47, 0.55, 0.49, 0.51, 0.53, 0.48]
NOISE = [0.02, -0.03, 0.01, 0.04, -0.02, -0.01, 0.03, -0.04]
NAMES: dict[str, Any] = {"study": "s", "arm": "b", "against": "a"}
LOWER = Direction(**NAMES, direction="lower")
HIGHER = Direction(**NAMES, direction="higher")


def shifted(by: float, noise: float = 0.0) -> list[float]:
    return [value + by + noise * step for value, step in zip(LOSSES, NOISE, strict=True)]


def judged(rule: Rule, *, lower_is_better: bool = True, due: bool = True, **groups: Sequence[float]) -> Judgment:
    """Judge the values of groups at seeds from 0; NaN stands for a diverged run."""
    states: dict[bool, State] = {True: "diverged", False: "measured"}
    measurements = [
        Measurement(group, seed, "", states[math.isnan(value)], value)
        for group, values in groups.items()
        for seed, value in enumerate(values)
    ]
    question = rule.question()
    comparison = compare(
        measurements,
        groups=list(groups),
        baseline=None if question.all_pairs else question.baseline or "a",
        lower_is_better=lower_is_better,
        alpha=0.05,
        min_effect=question.min_effect,
        due=due,
    )
    return rule.judge(comparison, lower_is_better=lower_is_better, due=due)


@pytest.mark.parametrize("lower_is_better", [True, False])
@pytest.mark.parametrize(
    ("by", "noise", "lower", "higher"),
    [
        (-0.1, 0.1, "reproduced", "not_reproduced"),
        (0.1, 0.1, "not_reproduced", "reproduced"),
        (0.0, 1.0, "undecided", "undecided"),
    ],
)
def test_direction_follows_the_verdict_whichever_values_are_better(
    by: float, noise: float, lower: str, higher: str, lower_is_better: bool
) -> None:
    values: Any = {"a": LOSSES, "b": shifted(by, noise)}
    assert judged(LOWER, lower_is_better=lower_is_better, **values).verdict == lower
    assert judged(HIGHER, lower_is_better=lower_is_better, **values).verdict == higher


def test_direction_has_the_figures_of_the_pair() -> None:
    (figure,) = judged(LOWER, a=LOSSES, b=shifted(-0.1)).figures
    assert (figure.arm, figure.against, figure.n, figure.verdict) == ("b", "a", 8, "better")
    assert figure.mean == pytest.approx(-0.1)
    assert figure.p == 2 / 2**8


def test_difference_below_the_smallest_effect_is_not_reproduced() -> None:
    rule = Direction(**NAMES, min_effect=0.05)
    assert judged(rule, a=LOSSES, b=shifted(-0.01, 0.1)).verdict == "not_reproduced"


def test_too_few_seeds_leave_every_claim_undecided() -> None:
    values: Any = {"a": LOSSES[:5], "b": shifted(-0.3)[:5]}
    for rule in (LOWER, HIGHER, Figure(study="s", arm="b", value=0.2, tolerance=0.5)):
        assert judged(rule, **values).verdict == "undecided"


def test_nothing_is_decided_before_the_comparison_is_due() -> None:
    for rule in (
        LOWER,
        Equivalence(**NAMES, margin=0.1),
        Order(study="s", arms=("b", "a")),
        Figure(study="s", arm="b", value=0.2, tolerance=0.5),
        Bound(study="s", arm="b", direction="lower", bound=1.0),
    ):
        assert judged(rule, due=False, a=LOSSES, b=shifted(-0.3)).verdict == "pending"


def test_arm_that_diverges_loses_and_is_reported() -> None:
    diverging = [math.nan] * 8
    judgment = judged(LOWER, a=LOSSES, b=diverging)
    assert (judgment.verdict, judgment.figures[0].diverged) == ("not_reproduced", 8)
    reverse = judged(LOWER, a=diverging, b=LOSSES)
    assert (reverse.verdict, reverse.figures[0].against_diverged) == ("reproduced", 8)


@pytest.mark.parametrize(
    ("by", "noise", "verdict"),
    [(0.001, 0.1, "reproduced"), (0.2, 0.1, "not_reproduced"), (0.0, 4.0, "undecided")],
)
def test_equivalence_needs_both_one_sided_tests(by: float, noise: float, verdict: str) -> None:
    assert judged(Equivalence(**NAMES, margin=0.05), a=LOSSES, b=shifted(by, noise)).verdict == verdict


@pytest.mark.parametrize(
    ("arms", "verdict"),
    [
        (("a", "b", "c"), "reproduced"),
        (("c", "b", "a"), "not_reproduced"),
        (("b", "a", "c"), "not_reproduced"),
        (("a", "b", "d"), "undecided"),
    ],
)
def test_order_is_judged_by_its_neighboring_pairs(arms: tuple[str, ...], verdict: str) -> None:
    values: Any = {"a": LOSSES, "c": shifted(0.4, 0.1), "b": shifted(0.2, 0.1), "d": shifted(0.2, -2.0)}
    judgment = judged(Order(study="s", arms=arms), **values)
    assert judgment.verdict == verdict
    assert [{figure.arm, figure.against} for figure in judgment.figures] == [{arms[0], arms[1]}, {arms[1], arms[2]}]


@pytest.mark.parametrize(
    ("value", "tolerance", "verdict"),
    [(0.5, 0.1, "reproduced"), (0.9, 0.1, "not_reproduced"), (0.5, 0.005, "undecided"), (0.45, 0.06, "undecided")],
)
def test_figure_compares_the_interval_with_the_tolerance(value: float, tolerance: float, verdict: str) -> None:
    rule = Figure(study="s", arm="a", value=value, tolerance=tolerance)
    assert judged(rule, a=LOSSES, b=LOSSES).verdict == verdict


@pytest.mark.parametrize(
    ("direction", "bound", "verdict"),
    [
        ("lower", 0.6, "reproduced"),
        ("lower", 0.4, "not_reproduced"),
        ("higher", 0.4, "reproduced"),
        ("higher", 0.6, "not_reproduced"),
        ("lower", 0.51, "undecided"),
    ],
)
def test_bound_is_passed_by_the_whole_interval(
    direction: Literal["lower", "higher"], bound: float, verdict: str
) -> None:
    assert judged(Bound(study="s", arm="a", direction=direction, bound=bound), a=LOSSES).verdict == verdict


def test_mean_without_its_diverged_runs_reproduces_no_figure() -> None:
    values = [*LOSSES, math.nan]
    rule = Figure(study="s", arm="a", value=0.5, tolerance=0.1)
    judgment = judged(rule, a=values)
    assert (judgment.verdict, judgment.figures[0].diverged, judgment.figures[0].n) == ("undecided", 1, 8)
    assert judged(rule.model_copy(update={"value": 0.9}), a=values).verdict == "not_reproduced"


def test_only_rules_on_one_mean_take_metrics_without_a_better_direction() -> None:
    assert not Figure(study="s", arm="a", metric="weights.zeros", value=0.2, tolerance=0.1).question().directed
    assert not Bound(study="s", arm="a", metric="weights.zeros", direction="higher", bound=0.1).question().directed
    for rule in (LOWER, Equivalence(**NAMES, margin=0.1), Order(study="s", arms=("a", "b"))):
        assert rule.question().directed


def test_sentences_name_arms_metric_and_epoch() -> None:
    rule = Direction(**NAMES, metric="test.error", at="epoch:30")
    assert "test.error at epoch 30 is significantly lower for 'b' than for 'a'" in rule.sentence
    assert "'a' < 'b'" in Order(study="s", arms=("a", "b")).sentence
    assert "0.2 ± 0.01" in Figure(study="s", arm="a", value=0.2, tolerance=0.01).sentence


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "direction", "study": "s", "arm": "a", "against": "a"},
        {"kind": "order", "study": "s", "arms": ["a", "b", "a"]},
        {"kind": "order", "study": "s", "arms": ["a"]},
        {"kind": "figure", "study": "s", "arm": "a", "value": 1.0, "tolerance": 0.0},
        {"kind": "equivalence", "study": "s", "arm": "a", "against": "b"},
        {"kind": "nonsense", "study": "s"},
    ],
)
def test_impossible_rule_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(AnyRule).validate_python(rule)
