"""The queue's laws, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from service.runs.reader import RunReader
from service.runs.service import Runs
from service.store.database import writing
from service.store.tables import checkpoint, epoch, run
from service.workers import queries as leases
from service.workers.jobs import Jobs
from tests.conftest import WORKER, measured, submit
from tests.service.workers.claims import one
from worker.ports import Checkpoint, Claim, Outcome


def outcome(claim: Claim, status: str = "succeeded") -> Outcome:
    return Outcome(run_id=claim.run_id, status=status)  # type: ignore[arg-type]


def saved(claim: Claim, number: int) -> dict[str, Checkpoint]:
    name = f"{claim.run_id}/{claim.attempt}-{number}"
    return {claim.run_id: Checkpoint(epoch=number, path=name, sha256="00", bytes=1, digest="d")}


def lapse(engine: sa.Engine, run_id: str) -> None:
    """Make a lease expire."""
    with engine.begin() as connection:
        connection.execute(sa.update(run).where(run.c.id == run_id).values(lease_expires_at=1.0))


def test_runs_are_claimed_by_priority_then_age(runs: Runs, jobs: Jobs) -> None:
    first, second = submit(runs, seed=1), submit(runs, seed=2)
    urgent = submit(runs, seed=3, priority=5)
    assert [one(jobs).run_id for _ in range(3)] == [urgent, first, second]
    assert jobs.claim(WORKER, limit=1) == ()


def test_claim_is_a_stack_of_runs_that_differ_only_in_per_run_values(runs: Runs, jobs: Jobs) -> None:
    dropout, penalty = {"kind": "dropout", "p": 0.2}, {"kind": "l2", "strength": 0.1}
    together = [
        submit(runs, seed=1),
        submit(runs, seed=2, regularizers=[dropout]),
        submit(runs, seed=3, regularizers=[penalty], optimizer={"kind": "sgd", "lr": 0.5}, epochs=7),
    ]
    other = submit(runs, seed=1, model={"kind": "mlp", "hidden": [17]})
    assert [claim.run_id for claim in jobs.claim(WORKER, limit=16)] == together
    assert [claim.run_id for claim in jobs.claim(WORKER, limit=16)] == [other]


def test_stack_is_at_most_as_large_as_requested(runs: Runs, jobs: Jobs) -> None:
    for seed in range(5):
        submit(runs, seed=seed)
    assert [len(jobs.claim(WORKER, limit=3)) for _ in range(3)] == [3, 2, 0]


def test_idle_workers_share_the_queue(runs: Runs, jobs: Jobs) -> None:
    for seed in range(9):
        submit(runs, seed=seed)
    others = [replace(WORKER, worker_id=f"wrk_{i}") for i in range(3)]
    for worker in others:
        jobs.register(worker)
    sizes = [len(jobs.claim(worker, limit=16)) for worker in others]
    assert sizes == [3, 3, 3]
    submit(runs, seed=10)
    submit(runs, seed=11)
    assert len(jobs.claim(WORKER, limit=16)) == 2, "busy workers leave the whole queue to the idle one"


def test_runs_of_different_next_epochs_are_not_claimed_together(runs: Runs, jobs: Jobs) -> None:
    ahead = submit(runs, seed=1)
    claim = one(jobs)
    jobs.record([claim], [measured(ahead, 1)])
    jobs.release([claim], failed=False)
    submit(runs, seed=2)
    assert [c.run_id for c in jobs.claim(WORKER, limit=16)] == [ahead]


def test_run_is_claimed_only_by_a_worker_with_its_device(runs: Runs, jobs: Jobs) -> None:
    run_id = submit(runs, device="cuda")
    assert jobs.claim(WORKER, limit=1) == ()
    jobs.register(WORKER)
    assert "cuda" in (runs.get(run_id).waiting_reason or "")


@pytest.mark.parametrize("write", ["started", "record", "checkpointed", "finish", "release", "heartbeat"])
def test_stale_token_changes_nothing(write: str, runs: Runs, reader: RunReader, jobs: Jobs, engine: sa.Engine) -> None:
    run_id = submit(runs)
    stale = one(jobs)
    jobs.record([stale], [measured(run_id, 1)])
    lapse(engine, run_id)
    assert jobs.expire() == 1
    current = one(jobs)

    def everything() -> object:
        with engine.connect() as connection:
            tables = (run, epoch, checkpoint)
            return [sorted(map(repr, connection.execute(sa.select(table)).all())) for table in tables], reader.events(
                run_id
            )

    before = everything()
    if write == "started":
        assert jobs.started([stale], device="cpu", determinism_class="x") == {run_id}
    elif write == "record":
        assert jobs.record([stale], [measured(run_id, 2)]) == {run_id}
    elif write == "checkpointed":
        assert jobs.checkpointed([stale], saved(stale, 1), {}) == [saved(stale, 1)[run_id].path]
    elif write == "finish":
        assert jobs.finish([stale], [outcome(stale)]) == {run_id}
    elif write == "release":
        jobs.release([stale], failed=True)
    else:
        assert jobs.heartbeat(WORKER, [stale]) == {run_id: "lost"}
        assert jobs.orders([stale]) == {run_id: "lost"}
    assert everything() == before
    assert jobs.record([current], [measured(run_id, 2)]) == set()


def test_every_statement_is_fenced_on_its_own(runs: Runs, jobs: Jobs, engine: sa.Engine) -> None:
    """Callers lock and check rows first; even if they did not, a worker without the lease could not write."""
    run_id = submit(runs)
    claim = one(jobs)
    with writing(engine) as connection:
        assert leases.change(connection, run_id, "another", {"epoch": 7}) is False
        row = connection.execute(sa.select(run).where(run.c.id == run_id)).one()
        assert (row.epoch, row.token) == (0, claim.token)
        with pytest.raises(AssertionError, match="was locked"):
            leases.take(connection, row, WORKER.worker_id, 30.0)
        assert leases.change(connection, run_id, claim.token, {"epoch": 7}) is True


def test_records_of_a_stack_are_fenced_run_by_run(runs: Runs, jobs: Jobs, engine: sa.Engine) -> None:
    ids = submit(runs, seed=1), submit(runs, seed=2)
    tokens = {claim.run_id: claim.token for claim in jobs.claim(WORKER, limit=2)}
    new = dict.fromkeys(leases.RECORDED) | {"epoch": 7, "last": {}, "revision": 0, "barren": 0}
    with writing(engine) as connection:
        current, other = ((run_id, tokens[run_id], new) for run_id in ids)
        assert leases.record(connection, [current, (ids[1], "another", new)]) is False
        assert [row.epoch for row in connection.execute(sa.select(run.c.epoch).order_by(run.c.seed))] == [7, 0]
        assert leases.record(connection, [current, other]) is True
        assert leases.record(connection, []) is True


def test_lost_run_does_not_affect_its_stack_peers(runs: Runs, jobs: Jobs, engine: sa.Engine) -> None:
    lost, healthy = submit(runs, seed=1), submit(runs, seed=2)
    claims = jobs.claim(WORKER, limit=2)
    lapse(engine, lost)
    jobs.expire()
    assert jobs.record(claims, [measured(lost, 1), measured(healthy, 1)]) == {lost}
    assert runs.get(healthy).epoch == 1
    assert runs.get(lost).epoch == 0


def test_heartbeat_renews_the_lease(runs: Runs, jobs: Jobs, engine: sa.Engine) -> None:
    run_id = submit(runs)
    claim = one(jobs)
    lapse(engine, run_id)
    assert jobs.heartbeat(WORKER, [claim]) == {run_id: "go"}
    assert jobs.expire() == 0


def test_three_failed_attempts_fail_a_run_but_not_others(runs: Runs, jobs: Jobs, engine: sa.Engine) -> None:
    run_id = submit(runs)
    for _ in range(3):
        claim = one(jobs)
        assert claim.run_id == run_id
        lapse(engine, run_id)
        jobs.expire()
    failed = runs.get(run_id)
    assert (failed.status, failed.error_code) == ("failed", "worker_lost")
    healthy = submit(runs, seed=9)
    assert one(jobs).run_id == healthy


def test_recorded_epoch_resets_failed_attempts(runs: Runs, jobs: Jobs, engine: sa.Engine) -> None:
    run_id = submit(runs)
    for attempt in range(1, 7):
        claim = one(jobs)
        if attempt % 2 == 0:
            jobs.record([claim], [measured(run_id, attempt // 2)])
        lapse(engine, run_id)
        jobs.expire()
    assert runs.get(run_id).status == "queued"


def test_run_whose_last_attempt_failed_is_claimed_alone(runs: Runs, jobs: Jobs, engine: sa.Engine) -> None:
    poison, healthy = submit(runs, seed=1), submit(runs, seed=2)
    claims = jobs.claim(WORKER, limit=1)
    jobs.release(claims, failed=True)
    assert [c.run_id for c in jobs.claim(WORKER, limit=16)] == [poison]
    assert [c.run_id for c in jobs.claim(WORKER, limit=16)] == [healthy]


def test_orderly_release_does_not_count_as_a_failed_attempt(runs: Runs, jobs: Jobs) -> None:
    run_id = submit(runs)
    for _ in range(5):
        jobs.release([one(jobs)], failed=False)
    assert runs.get(run_id).status == "queued"


@pytest.mark.parametrize("reported", ["succeeded", "failed", "cancelled"])
def test_cancelling_run_ends_cancelled_whatever_its_worker_reports(reported: str, runs: Runs, jobs: Jobs) -> None:
    run_id = submit(runs)
    claim = one(jobs)
    assert runs.act(run_id, "cancel")[0].status == "cancelling"
    assert jobs.orders([claim]) == {run_id: "cancel"}
    assert jobs.finish([claim], [outcome(claim, reported)]) == set()
    assert runs.get(run_id).status == "cancelled"


def test_cancel_after_the_end_changes_nothing(runs: Runs, jobs: Jobs) -> None:
    from service.runs.errors import TransitionRefused

    run_id = submit(runs)
    claim = one(jobs)
    jobs.finish([claim], [outcome(claim)])
    with pytest.raises(TransitionRefused):
        runs.act(run_id, "cancel")
    assert runs.get(run_id).status == "succeeded"


def test_cancelled_run_whose_worker_died_ends_cancelled(runs: Runs, jobs: Jobs, engine: sa.Engine) -> None:
    run_id = submit(runs)
    one(jobs)
    runs.act(run_id, "cancel")
    lapse(engine, run_id)
    jobs.expire()
    assert runs.get(run_id).status == "cancelled"


def test_cancelled_run_is_never_claimed(runs: Runs, jobs: Jobs) -> None:
    run_id = submit(runs)
    assert runs.act(run_id, "cancel")[0].status == "cancelled"
    assert runs.act(run_id, "cancel")[1] is False
    assert jobs.claim(WORKER, limit=1) == ()


def test_two_newest_checkpoints_are_stored_and_claimed_newest_first(runs: Runs, jobs: Jobs) -> None:
    run_id = submit(runs)
    claim = one(jobs)
    dropped = [jobs.checkpointed([claim], saved(claim, number), {}) for number in (1, 2, 3)]
    assert dropped == [[], [], [f"{run_id}/1-1"]]
    jobs.release([claim], failed=False)
    assert [c.epoch for c in one(jobs).checkpoints] == [3, 2]


def test_claim_includes_the_history_that_stop_rules_need(runs: Runs, jobs: Jobs) -> None:
    run_id = submit(runs)
    claim = one(jobs)
    for number, loss in ((0, 2.0), (1, 0.5), (2, float("nan"))):
        jobs.record([claim], [measured(run_id, number, val_loss=loss)])
    jobs.release([claim], failed=False)
    assert one(jobs).history == {"val.loss": [0.5, None]}
