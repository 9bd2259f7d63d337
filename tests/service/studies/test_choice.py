"""Folds averaged, and arms chosen among, out of both databases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from service.runs.bodies import run_of
from service.settings import Settings
from service.studies.bodies import StudyBody
from service.studies.choice import ChoiceQuery
from service.studies.question import Question
from service.studies.service import Studies
from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, measured
from worker.ports import Outcome
from worker.spec.run import RunSpec

STRENGTHS = [0.0, 0.001, 0.01, 0.1]
STUDY: dict[str, Any] = {
    "base": {**BODY, "dataset": {"kind": "digits"}, "regularizers": [{"kind": "l2", "strength": 0.0}]},
    "grid": {"regularizers.0.strength": STRENGTHS},
    "folds": 4,
    "seeds": 2,
}
LOSSES = np.random.default_rng(0).normal(1, 0.1, (2, 4)) + np.array([0.3, 0.0, 0.01, 0.5])[:, None, None]
LOSSES += np.random.default_rng(1).normal(0, 0.01, LOSSES.shape)
"""By strength, seed and fold."""


def play(work: Jobs) -> None:
    """The worker's part: three epochs, the second of which is the best."""
    while claims := work.claim(WORKER, limit=100):
        work.started(claims, device="cpu", determinism_class="test")
        for claim in claims:
            spec: Any = claim.spec
            arm = STRENGTHS.index(spec["regularizers"][0]["strength"])
            loss = LOSSES[arm, spec["seed"], spec["dataset"]["fold"]["index"]]
            for epoch, rise in enumerate((0.5, 0.0, 0.25), start=1):
                work.record([claim], [measured(claim.run_id, epoch, val_loss=float(loss + rise))])
            work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded")])


@pytest.fixture
def studies(engine: sa.Engine, settings: Settings) -> Studies:
    return Studies(engine, settings, run_of)


def create(studies: Studies) -> str:
    return studies.create(StudyBody.model_validate(STUDY).new_study(), render=lambda study: study.id).resource_id


@pytest.mark.slow
def test_choice_matches_numpy(studies: Studies, jobs: Jobs) -> None:
    study_id = create(studies)
    play(jobs)
    by_fold = LOSSES.mean(axis=1)
    best = int(by_fold.mean(axis=1).argmin())
    error = by_fold[best].std(ddof=1) / 2
    chosen = studies.choose(study_id, ChoiceQuery(rule="one_standard_error"))
    assert [one.mean for one in chosen.choice.candidates] == pytest.approx(by_fold.mean(axis=1).tolist())
    assert chosen.choice.threshold == pytest.approx(by_fold.mean(axis=1).min() + error)
    within = np.flatnonzero(by_fold.mean(axis=1) <= by_fold.mean(axis=1).min() + error)
    assert within.tolist() == [1, 2], "or the rule has nothing to do here"
    spec = RunSpec.model_validate(chosen.spec, strict=False)
    assert (spec.model_dump()["regularizers"][0]["strength"], spec.epochs) == (0.01, 2)
    assert (
        studies.choose(study_id, ChoiceQuery()).choice.chosen == f"base [regularizers.0.strength={STRENGTHS[best]:g}]"
    )
    last = studies.choose(study_id, ChoiceQuery(at="last"))
    assert last.choice.candidates[0].mean == pytest.approx(by_fold[0].mean() + 0.25)
    assert last.spec["epochs"] == 3


@pytest.mark.slow
def test_comparing_averages_the_folds_of_a_seed(studies: Studies, jobs: Jobs) -> None:
    study_id = create(studies)
    play(jobs)
    result = studies.compare(study_id, Question())
    of_seed = LOSSES.mean(axis=2)
    assert [group.n for group in result.comparison.groups] == [2] * 4
    assert [group.std for group in result.comparison.groups] == pytest.approx(of_seed.std(axis=1, ddof=1).tolist())
    for pair, values in zip(result.comparison.pairs, of_seed[1:], strict=True):
        assert pair.differences == pytest.approx(tuple(values - of_seed[0]))
