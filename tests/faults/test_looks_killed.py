"""kill -9 of the server before and after a step of a sequential or tuned study: each step happens once."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import Any

from fitwell import Unreachable
from tests.faults.system import SPEC, System, system
from tests.patience import eventually, scaled

DEATHS = [("take_look", "after"), ("queue_seeds", "before"), ("take_look", "before"), ("queue_seeds", "after")]
STEPS = {
    "sqlite": [("freeze", "before"), ("confirm", "after")],
    "postgresql": [("freeze", "after"), ("confirm", "before")],
}
"""Divided between the databases, as every kill costs the start of a server."""
ARMS: dict[str, Any] = {"plain": {}, "slow": {"optimizer": {"lr": 1e-5}}, "same": {"regularizers": []}}


class Restarted:
    """A server that is started again whenever a fault has killed it."""

    def __init__(self, under: System) -> None:
        self.under = under
        self.deaths = 0
        self.server = under.start("service", FITWELL_LOOK_SECONDS="0.1")

    def restart_if_dead(self) -> None:
        if self.server.poll() is not None:
            assert self.server.wait(scaled(20)) == -signal.SIGKILL
            self.deaths += 1
            self.server = self.under.start("service", FITWELL_LOOK_SECONDS="0.1")


def test_every_look_is_taken_once_however_often_the_server_is_killed(database: str | None, tmp_path: Path) -> None:
    with system(tmp_path / "home", database, FITWELL_STACK_LIMIT="32") as under:
        for order, (function, side) in enumerate(DEATHS):  # each server takes the next
            under.faults.plan("service", order, f"commit 1 {side} kill {function}")
        server = Restarted(under)
        study = under.client.studies.create(
            base=SPEC, arms=ARMS, seeds={"max": 12, "first": 4, "step": 4}, metric="val.loss"
        )
        under.start("worker")

        def finished() -> bool:
            server.restart_if_dead()
            with contextlib.suppress(Unreachable):
                return under.answers() and study.refresh().terminal
            return False

        eventually(finished)
        assert server.deaths == len(DEATHS)
        assert [(function, side) for _, side, function in under.faults.log] == DEATHS
        course = study.compare().sequential
        assert course is not None
        arms = {arm.id: arm for arm in study.refresh().arms}
        runs = {arm.id: arm.decided_at or course.looks[-1].seeds for arm in arms.values() if arm.id != "plain"}
        assert [look.seeds for look in course.looks] == [4, 8, 12][: len(course.looks)]
        assert {name: arms[name].runs for name in runs} == runs
        assert arms["plain"].runs == course.looks[-1].seeds
        seeds = sorted((run.arm, run.seed) for run in study.runs())
        assert len(seeds) == len(set(seeds)) == sum(arm.runs for arm in arms.values())


def test_choice_is_frozen_and_confirmed_once_however_often_the_server_is_killed(
    database: str | None, tmp_path: Path
) -> None:
    with system(tmp_path / "home", database, FITWELL_STACK_LIMIT="32") as under:
        steps = STEPS["sqlite" if database is None else "postgresql"]
        for order, (function, side) in enumerate(steps):
            under.faults.plan("service", order, f"commit 1 {side} kill {function}")
        server = Restarted(under)
        rates = {"optimizer.lr": {"distribution": "log_uniform", "low": 0.01, "high": 0.5}}
        tune = {"budget": 2, "space": rates, "arms": {"plain": {}, "small": {"batch_size": 16}}}
        tune |= {"search": {"replicates": 1}, "confirm": {"max": 4, "first": 4}}
        study = under.client.studies.create(base=SPEC, tune=tune)
        under.start("worker")

        def finished() -> bool:
            server.restart_if_dead()
            with contextlib.suppress(Unreachable):
                return under.answers() and study.refresh().terminal
            return False

        eventually(finished)
        assert server.deaths == len(steps)
        tuned, *others = [study.refresh(), *(one for one in under.client.studies.list() if one.id != study.id)]
        assert [one.confirms for one in others] == [study.id]
        assert tuned.tune is not None
        assert (tuned.tune.phase, tuned.tune.confirmation_id) == ("done", others[0].id)
        assert [arm.runs for arm in others[0].arms] == [4, 4]
        types = [event.type for event in tuned.stream() if event.type.startswith("study.")]
        assert types == ["study.frozen", "study.confirming", "study.look", "study.tuned"]
