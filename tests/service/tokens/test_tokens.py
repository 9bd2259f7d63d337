"""Tokens in the database, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa

from service.callers import LOCAL, Caller, Scope
from service.errors import SpecRefused, TokenRefused
from service.runs.errors import QuotaExceeded
from service.runs.service import Runs
from service.settings import Settings
from service.store.database import open_engine, reading, writing
from service.store.tables import METADATA, token
from service.tokens.errors import TokenNotFound
from service.tokens.service import FIRST_SECONDS, Tokens
from service.tokens.token import NewToken, Token
from service.workers.jobs import Jobs
from tests.conftest import WORKER, submit
from tests.patience import scaled
from worker.ports import Outcome

ADMIN = NewToken(name="laptop", owner="root", scopes=["admin"])


@pytest.fixture
def tokens(engine: sa.Engine, settings: Settings) -> Tokens:
    return Tokens(engine, settings, exposed=False)


def at_once(count: int, work: Callable[[], object]) -> list[BaseException]:
    """Do ``work`` in many threads that begin together; what went wrong."""
    barrier, failures = threading.Barrier(count, timeout=scaled(20)), list[BaseException]()

    def one() -> None:
        barrier.wait()
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_only_the_hash_and_first_characters_of_a_secret_are_stored(
    tokens: Tokens, engine: sa.Engine, settings: Settings
) -> None:
    _, secret = tokens.create(ADMIN)
    assert len(secret) == 3 + 43
    with reading(engine) as connection:
        everything = [row for table in METADATA.sorted_tables for row in connection.execute(sa.select(table))]
    assert secret[:9] in str(everything)
    assert secret[3:] not in str(everything)
    for file in settings.home.glob("fitwell.db*"):
        assert secret[3:].encode() not in file.read_bytes()


def test_only_the_whole_secret_authenticates(tokens: Tokens, engine: sa.Engine) -> None:
    created, secret = tokens.create(replace(ADMIN, owner="alice", max_active_runs=7))
    caller = tokens.authenticated(secret)
    assert (caller.owner, caller.scopes, caller.token_id, caller.max_active_runs) == (
        "alice",
        ("admin",),
        created.id,
        7,
    )
    with reading(engine) as connection:
        stored = connection.execute(sa.select(token.c.sha256)).scalar_one()
    for wrong in (
        "",
        "fw_",
        secret[:-1],
        secret + "A",
        secret.swapcase(),
        created.prefix,
        created.id,
        stored,
        f"fw_{stored}",
    ):
        with pytest.raises(TokenRefused, match="Unknown token"):
            tokens.authenticated(wrong)


@pytest.mark.slow
def test_revoked_or_expired_token_is_refused_with_the_reason(tokens: Tokens) -> None:
    _, valid = tokens.create(ADMIN)
    revoked, secret = tokens.create(ADMIN)
    tokens.revoke(revoked.id)
    with pytest.raises(TokenRefused, match="was revoked"):
        tokens.authenticated(secret)
    first = tokens.get(revoked.id).revoked_at
    tokens.revoke(revoked.id)
    assert tokens.get(revoked.id).revoked_at == first
    lifetime = scaled(0.5)
    _, secret = tokens.create(replace(ADMIN, expires_at=time.time() + lifetime))
    assert tokens.authenticated(secret).is_admin
    time.sleep(lifetime + 0.1)
    with pytest.raises(TokenRefused, match="has expired"):
        tokens.authenticated(secret)
    assert tokens.authenticated(valid).is_admin
    with pytest.raises(SpecRefused, match="in the past"):
        tokens.create(replace(ADMIN, expires_at=time.time() - 60))


def test_tokens_are_required_after_the_first_was_created(
    tokens: Tokens, engine: sa.Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("service.tokens.service.time.monotonic", lambda: now[0])
    another = Tokens(engine, settings, exposed=False)
    assert not tokens.needed()
    assert not another.needed()
    assert tokens.first_admin() is None
    with pytest.raises(SpecRefused, match="must be an admin's"):
        tokens.create(replace(ADMIN, scopes=["write"]))
    created, _ = tokens.on_behalf_of(LOCAL).create(ADMIN)
    assert tokens.needed(), "at once in this process"
    now[0] += FIRST_SECONDS
    assert another.needed(), "and within a second in others"
    tokens.revoke(created.id)
    assert Tokens(engine, settings, exposed=False).needed()
    assert not Tokens(engine, Settings(data_dir=settings.data_dir, auth="off"), exposed=False).needed()


def test_concurrent_starts_create_one_first_admin(engine: sa.Engine, settings: Settings) -> None:
    results = list[tuple[Token, str] | None]()

    def start() -> None:
        mine = open_engine(settings)
        results.append(Tokens(mine, settings, exposed=True).first_admin())
        mine.dispose()

    assert at_once(8, start) == []
    ((created, secret),) = [one for one in results if one is not None]
    tokens = Tokens(engine, settings, exposed=True)
    assert tokens.authenticated(secret).owner == LOCAL.owner
    tokens.create(replace(ADMIN, scopes=["write"]))
    tokens.revoke(created.id)
    assert tokens.first_admin() is not None, "a start creates one if no admin token is valid"


def test_last_use_is_written_at_most_once_a_minute(tokens: Tokens, engine: sa.Engine) -> None:
    created, secret = tokens.create(ADMIN)
    tokens.note_uses()
    assert tokens.get(created.id).last_used_at is None
    tokens.authenticated(secret)
    tokens.note_uses()
    first = tokens.get(created.id).last_used_at
    assert first is not None
    tokens.authenticated(secret)
    tokens.note_uses()
    assert tokens.get(created.id).last_used_at == first
    with writing(engine) as connection:
        connection.execute(sa.update(token).values(last_used_at=token.c.last_used_at - 61))
    tokens.authenticated(secret)
    tokens.note_uses()
    assert tokens.get(created.id).last_used_at == pytest.approx(first, abs=30)


def test_owner_sees_and_revokes_its_own_tokens_and_an_admin_all(tokens: Tokens) -> None:
    tokens.create(ADMIN)
    mine, _ = tokens.create(replace(ADMIN, owner="alice", scopes=["read"]))
    other, _ = tokens.create(replace(ADMIN, owner="alice", scopes=["write"]))
    alice, bob = (tokens.on_behalf_of(caller(owner, ["write"])) for owner in ("alice", "bob"))
    assert [one.id for one in alice.page(limit=9, after=None).tokens] == [other.id, mine.id]
    assert bob.page(limit=9, after=None).tokens == []
    first = tokens.page(limit=2, after=None)
    assert [len(first.tokens), first.has_more] == [2, True]
    assert len(tokens.page(limit=2, after=first.next_cursor).tokens) == 1
    with pytest.raises(TokenNotFound):
        bob.get(mine.id)
    with pytest.raises(TokenNotFound):
        bob.revoke(mine.id)
    alice.revoke(mine.id)
    assert alice.get(mine.id).revoked_at is not None


def caller(owner: str, scopes: Sequence[Scope] = ("write",), *, max_active_runs: int | None = None) -> Caller:
    return Caller(owner=owner, scopes=tuple(scopes), max_active_runs=max_active_runs)


def test_scopes_include_lower_ones() -> None:
    held = {one: [two for two in ("read", "write", "admin") if caller("a", [one]).has(two)] for one in SCOPES}
    assert held == {"read": ["read"], "write": ["read", "write"], "admin": ["read", "write", "admin"]}


SCOPES: list[Scope] = ["read", "write", "admin"]


def test_quota_holds_under_concurrent_submissions(runs: Runs, jobs: Jobs, settings: Settings) -> None:
    limited = caller("alice", max_active_runs=5)
    seeds = iter(range(100))

    def one() -> None:
        mine = open_engine(settings)
        try:
            submit(Runs(mine, settings).on_behalf_of(limited), seed=next(seeds))
        finally:
            mine.dispose()

    failures = at_once(9, one)
    assert [type(failure) for failure in failures] == [QuotaExceeded] * 4
    submit(runs.on_behalf_of(caller("bob", max_active_runs=5)), seed=98)
    (claim,) = jobs.claim(WORKER, limit=1)
    jobs.finish([claim], [Outcome(run_id=claim.run_id, status="failed", code="x", message="")])
    submit(runs.on_behalf_of(limited), seed=99)
    with pytest.raises(QuotaExceeded, match="5 unfinished"):
        runs.on_behalf_of(limited).act(claim.run_id, "retry")
    assert runs.get(claim.run_id).status == "failed"


def test_reused_result_does_not_count_towards_the_quota(runs: Runs, jobs: Jobs) -> None:
    submit(runs, seed=1)
    (claim,) = jobs.claim(WORKER, limit=1)
    jobs.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded")])
    mine = runs.on_behalf_of(caller("alice", max_active_runs=1))
    submit(mine, seed=2)
    assert runs.get(submit(mine, seed=1)).reused_from == claim.run_id
    with pytest.raises(QuotaExceeded):
        submit(mine, seed=3)


@pytest.mark.parametrize("shared", [True, False])
def test_results_of_other_owners_are_reused_if_shared(runs: Runs, jobs: Jobs, shared: bool) -> None:
    alice, bob = (runs.on_behalf_of(replace(caller(owner), shares_results=shared)) for owner in ("alice", "bob"))
    submit(alice)
    (claim,) = jobs.claim(WORKER, limit=1)
    jobs.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded")])
    assert (runs.get(submit(bob)).reused_from == claim.run_id) == shared
    assert runs.get(submit(alice)).reused_from == claim.run_id


def test_runs_without_an_owner_belong_to_local(engine: sa.Engine) -> None:
    """A database of the revision before, with a run, a study and a remembered answer."""
    from alembic import command

    import migrations
    from service.store.database import migrate

    with engine.begin() as connection:
        METADATA.drop_all(connection)
        connection.execute(sa.text("DROP TABLE alembic_version"))
        config = migrations.config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        key = "'', '/v1/runs', 'k', 'b', 'run_1', 201, '{}', 1.0"
        connection.execute(sa.text(f"INSERT INTO idempotency_key VALUES ({key})"))
        connection.execute(
            sa.text(
                "INSERT INTO run (id, status, labels, priority, spec, spec_hash, reuse_key, stack_key, stack_runs,"
                " seed, device, epochs, last, created_at)"
                " VALUES ('run_1', 'queued', '{}', 0, '{}', '', '', '', 1, 0, 'auto', 1, '{}', 1.0)"
            )
        )
        connection.execute(
            sa.text(
                "INSERT INTO study (id, request, arms, seeds, metric, at, baseline, looks, created_at)"
                " VALUES ('study_1', '{}', '[]', '[]', 'val.loss', 'best', 'a', 1, 1.0)"
            )
        )
    migrate(engine)
    with engine.connect() as connection:
        owners = [connection.scalar(sa.text(f"SELECT owner FROM {t}")) for t in ("run", "study", "idempotency_key")]
    assert owners == ["local"] * 3
