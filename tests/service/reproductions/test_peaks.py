"""The rule of a peak: right and false claims on arms whose metric rises and falls."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from service.reproductions.peaks import Peak
from tests.service.reproductions.test_rules import LOSSES, judged, shifted

ORDER = ("a", "b", "c", "d")


def values(*heights: float, noise: float = 0.1) -> dict[str, Any]:
    """Return values of the arms a, b, …, whose means are ``heights`` above those of a common arm."""
    return {
        arm: shifted(height, noise * (place % 3 - 1) * (1 + place))
        for place, (arm, height) in enumerate(zip("abcd", heights, strict=False))
    }


@pytest.mark.parametrize("lower_is_better", [True, False])
@pytest.mark.parametrize(
    ("heights", "verdict"),
    [
        ((0.0, 0.3, 0.2, -0.2), "reproduced"),
        ((0.0, -0.3, 0.2, -0.2), "reproduced"),  # after a fall
        ((0.4, 0.2, 0.1, 0.0), "not_reproduced"),
        ((0.0, 0.1, 0.2, 0.4), "not_reproduced"),
        ((0.3, 0.0, -0.1, 0.3), "not_reproduced"),  # a valley
        ((0.0, 0.0, 0.0, 0.0), "undecided"),
    ],
)
def test_peak_is_higher_than_an_arm_on_either_side(
    heights: tuple[float, ...], verdict: str, lower_is_better: bool
) -> None:
    noise = 0.1 if any(heights) else 1.0
    arms = values(*heights, noise=noise)
    if not any(heights):
        arms["a"] = shifted(0.0, -1.0)
    assert judged(Peak(study="s", arms=ORDER), lower_is_better=lower_is_better, **arms).verdict == verdict


@pytest.mark.parametrize(
    ("at_arms", "verdict"), [(("b",), "reproduced"), (("c",), "not_reproduced"), (("b", "c"), "reproduced")]
)
def test_peak_may_be_claimed_at_some_arms(at_arms: tuple[str, ...], verdict: str) -> None:
    heights = (0.0, 0.4, -0.2, -0.4)
    assert judged(Peak(study="s", arms=ORDER, at_arms=at_arms), **values(*heights)).verdict == verdict


def test_figures_are_the_differences_to_the_lowest_arm_on_either_side() -> None:
    judgment = judged(Peak(study="s", arms=ORDER), **values(0.0, -0.3, 0.2, -0.2))
    assert [{figure.arm, figure.against} for figure in judgment.figures] == [{"b", "c"}, {"d", "c"}]


def test_nothing_is_decided_with_too_few_seeds_or_before_the_comparison_is_due() -> None:
    arms = values(0.0, 0.3, 0.2, -0.2)
    rule = Peak(study="s", arms=ORDER)
    assert judged(rule, due=False, **arms).verdict == "pending"
    assert judged(rule, **{arm: ours[:5] for arm, ours in arms.items()}).verdict == "undecided"


def test_diverging_arm_has_no_figures() -> None:
    arms = values(0.0, 0.3, 0.2, -0.2)
    assert judged(Peak(study="s", arms=("a", "b", "c")), **{**arms, "b": [math.nan] * len(LOSSES)}).figures == []


def test_sentence_names_arms_and_place() -> None:
    assert "test.error of some arm" in Peak(study="s", arms=ORDER, metric="test.error").sentence
    assert "'b' or 'c'" in Peak(study="s", arms=ORDER, at_arms=("b", "c")).sentence


@pytest.mark.parametrize("changed", [{"arms": ("a", "b")}, {"arms": ("a", "b", "a")}, {"at_arms": ("a",)}])
def test_impossible_peak_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Peak(**{"study": "s", "arms": ORDER, **changed})
