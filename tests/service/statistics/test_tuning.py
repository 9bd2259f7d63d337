"""Error of tuned comparisons, simulated; docs/science/tuning.md has the figures of a larger simulation."""

from __future__ import annotations

import math

import pytest

from benchmarks.sequential import heavy_tails, normal, ties
from benchmarks.tuning import Scenario, shares
from service.statistics.design import Design

STUDIES = 400
DESIGN = Design(16)
MOST = DESIGN.alpha + 3 * math.sqrt(DESIGN.alpha * (1 - DESIGN.alpha) / STUDIES)
"""The level, and three times the simulation error."""


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(noise=heavy_tails),
        Scenario(noise=ties, scales=(1.0, 3.0)),
        Scenario(noise=normal, diverging=0.03, budgets=(1, 16)),
    ],
)
def test_confirmation_of_equal_methods_errs_at_the_level(scenario: Scenario) -> None:
    confirmed, _, _ = shares(scenario, STUDIES, DESIGN)
    assert confirmed <= MOST


def test_scores_of_a_search_favor_the_arm_that_was_tuned() -> None:
    confirmed, tested, tuned_ahead = shares(Scenario(budgets=(1, 16)), STUDIES, DESIGN)
    assert confirmed <= MOST < tested
    assert tuned_ahead > 0.9
