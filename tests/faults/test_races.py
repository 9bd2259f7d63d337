"""Two that want different things of one run at the same moment: one of them has its way, the other changes nothing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from itertools import permutations

import pytest
import sqlalchemy as sa

from service.errors import Refusal
from service.runs import states
from service.runs.reader import RunReader
from service.runs.service import Runs
from service.settings import Settings
from service.store.database import open_engine
from service.store.tables import run
from service.workers.jobs import Jobs
from tests.conftest import WORKER, measured, submit
from tests.patience import scaled
from worker.ports import Claim, Outcome

ROUNDS = 25
CLAIMERS, QUEUED = 8, 500


def test_every_one_of_500_runs_is_claimed_once_by_8_claimers(settings: Settings, runs: Runs) -> None:
    for seed in range(QUEUED):
        submit(runs, seed=seed)
    barrier, claimed, failures = threading.Barrier(CLAIMERS, timeout=scaled(20)), Counter[str](), list[BaseException]()

    def claim() -> None:
        mine = open_engine(settings)
        jobs = Jobs(mine, settings)
        barrier.wait()
        try:
            while claims := jobs.claim(WORKER, limit=3):
                claimed.update(claim.run_id for claim in claims)
        except BaseException as error:
            failures.append(error)
        mine.dispose()

    at_once(*[claim] * CLAIMERS)
    assert not failures
    assert len(claimed) == QUEUED
    assert set(claimed.values()) == {1}


def at_once(*deeds: Callable[[], object]) -> None:
    threads = [threading.Thread(target=deed, daemon=True) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(60))
        assert not thread.is_alive()


class Race:
    """A run whose lease has run out, and what may be done with it."""

    def __init__(self, settings: Settings, engine: sa.Engine) -> None:
        self.runs, self.jobs, self.engine = Runs(engine, settings), Jobs(engine, settings), engine
        self.run_id = submit(self.runs, reuse=False)
        (self.claim,) = self.jobs.claim(WORKER, limit=1)
        self.jobs.record([self.claim], [measured(self.run_id, 1)])
        with engine.begin() as connection:
            connection.execute(sa.update(run).where(run.c.id == self.run_id).values(lease_expires_at=1.0))

    def finish(self) -> bool:
        return self.jobs.finish([self.claim], [Outcome(run_id=self.run_id, status="succeeded")]) == set()

    def record(self) -> bool:
        return self.jobs.record([self.claim], [measured(self.run_id, 2)]) == set()

    def expire(self) -> bool:
        return self.jobs.expire() == 1

    def release(self) -> bool:
        self.jobs.release([self.claim], failed=False)
        return True

    def cancel(self) -> bool:
        try:
            return self.runs.act(self.run_id, "cancel")[1]
        except Refusal:
            return False


RIVALS = [
    ("finish", "expire"), ("finish", "cancel"), ("record", "expire"), ("release", "cancel"), ("expire", "cancel"),
]  # fmt: skip


@pytest.mark.parametrize("deeds", RIVALS)
def test_concurrent_actions_leave_a_state_of_the_transition_table(
    deeds: tuple[str, str], settings: Settings, engine: sa.Engine, reader: RunReader
) -> None:
    ways = Counter[tuple[str, ...]]()
    orders = list(permutations(deeds))
    for number in range(ROUNDS):
        race = Race(settings, engine)
        barrier, done = threading.Barrier(2, timeout=scaled(20)), dict[str, bool]()
        in_order = number < len(orders)

        def do(
            deed: str, race: Race = race, barrier: threading.Barrier = barrier, done: dict[str, bool] = done
        ) -> None:
            barrier.wait()
            done[deed] = getattr(race, deed)()

        if in_order:  # both orders for certain, then whichever is quicker
            for deed in orders[number]:
                done[deed] = getattr(race, deed)()
        else:
            at_once(*(lambda deed=deed: do(deed) for deed in deeds))
        assert set(done) == set(deeds)
        events = [event.type for event in reader.events(race.run_id) if event.type.startswith("run.")]
        status = race.runs.get(race.run_id).status
        terminal = [kind for kind in events if kind.removeprefix("run.") in states.TERMINAL]
        assert len(terminal) <= 1
        assert (status in states.TERMINAL) == bool(terminal)
        assert not terminal or events[-1] == f"run.{status}", events
        if deeds == ("finish", "expire"):
            assert done["finish"] != done["expire"], "one of them had it"
            assert status == ("succeeded" if done["finish"] else "queued")
        ways[(status, *events)] += 1
        race.cancel()
        race.expire()  # the next round begins with nothing left
    assert len(ways) >= 2 or "record" in deeds, ways


def test_every_response_reports_a_lost_run_to_its_worker(settings: Settings, engine: sa.Engine) -> None:
    race = Race(settings, engine)
    assert race.expire()
    claim: Claim = race.claim
    assert race.jobs.started([claim], device="cpu", determinism_class="x") == {race.run_id}
    assert race.jobs.record([claim], [measured(race.run_id, 2)]) == {race.run_id}
    assert race.jobs.heartbeat(WORKER, [claim]) == {race.run_id: "lost"}
    assert race.jobs.finish([claim], [Outcome(run_id=race.run_id, status="succeeded")]) == {race.run_id}
    assert race.runs.get(race.run_id).status == "queued"
