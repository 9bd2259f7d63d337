"""SQL statements on studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.runs.queries.runs import KEYS_PER_STATEMENT, owned_by
from service.store.rows import Row
from service.store.statuses import ENDED, TUNING
from service.store.tables import db_now, event, run, series, study, study_look

LOOK = "study.look"
"""Type of the event, of one of its runs, that a sequential study has taken a look."""
SEEDS = "study.seeds"
"""Type of the event, of one of its runs, that seeds were added to a sequential study."""
FROZEN = "study.frozen"
"""Type of the event, of one of its runs, that the choice of a tuned study was frozen."""
CONFIRMING = "study.confirming"
"""Type of the event, of one of its runs, that the confirmation of a tuned study was queued."""
TUNED = "study.tuned"
"""Type of the event, of one of its runs, that a tuned study has ended."""


def insert(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Insert a study, created at the database's time."""
    connection.execute(sa.insert(study).values(created_at=db_now(), **values))


def by_id(connection: sa.Connection, study_id: str, *, lock: bool = False) -> Row | None:
    """Return one study; ``lock`` locks its row until the end of the transaction."""
    statement = sa.select(study).where(study.c.id == study_id)
    return connection.execute(statement.with_for_update() if lock else statement).first()


def by_ids(connection: sa.Connection, study_ids: Sequence[str]) -> Sequence[Row]:
    """Return the existing ones of these studies, oldest first."""
    statement = sa.select(study).where(study.c.id.in_(study_ids))
    return connection.execute(statement.order_by(study.c.created_at, study.c.id)).all()


def equal_runs(connection: sa.Connection, reuse_keys: Sequence[str], *, owner: str | None) -> Sequence[Row]:
    """Return study_id and reuse_key of the runs of studies (of ``owner``) with one of the keys.

    Runs that were cancelled before their first epoch are left out.
    """
    rows: list[Row] = []
    counts = (run.c.epoch > 0) | (run.c.status != "cancelled")
    for keys in (reuse_keys[i : i + KEYS_PER_STATEMENT] for i in range(0, len(reuse_keys), KEYS_PER_STATEMENT)):
        equal = (run.c.reuse_key.in_(keys), run.c.study_id.is_not(None), counts, *owned_by(owner))
        rows.extend(connection.execute(sa.select(run.c.study_id, run.c.reuse_key).distinct().where(*equal)))
    return rows


def keys_of(connection: sa.Connection, study_id: str) -> set[tuple[str, str]]:
    """Return the arm and reuse key of every run of a study."""
    statement = sa.select(run.c.arm, run.c.reuse_key).where(run.c.study_id == study_id)
    return {(row.arm, row.reuse_key) for row in connection.execute(statement)}


def ready(connection: sa.Connection) -> Sequence[str]:
    """Return the ids of the sequential studies that have not ended and all of whose runs have, oldest first."""
    active = sa.exists().where(run.c.study_id == study.c.id, run.c.status.not_in(ENDED))
    return _oldest_first(connection, study.c.next_look.is_not(None), ~active)


def _oldest_first(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> Sequence[str]:
    """Return the ids of studies; sorted here, as SQLite would otherwise read all studies in their order of creation."""
    rows = connection.execute(sa.select(study.c.created_at, study.c.id).where(*conditions))
    return [study_id for _, study_id in sorted((row.created_at, row.id) for row in rows)]


def tuned_ready(connection: sa.Connection) -> Sequence[str]:
    """Return the ids of the tuned studies that have not ended and all of whose runs have, oldest first.

    A study is left out while its confirmation has not ended.
    """
    active = sa.exists().where(run.c.study_id == study.c.id, run.c.status.not_in(ENDED))
    confirmation = study.alias("confirmation")
    confirming = sa.exists().where(confirmation.c.confirms == study.c.id, confirmation.c.next_look.is_not(None))
    # Literals, as SQLite uses a partial index only if it can prove its condition.
    unfinished = study.c.tuning_phase.in_([sa.literal_column(f"'{phase}'") for phase in TUNING])
    return _oldest_first(connection, unfinished, ~active, ~confirming)


def confirmations(connection: sa.Connection, study_ids: Sequence[str]) -> Mapping[str, Row]:
    """Return the confirmations of tuned studies, by the id of the tuned study."""
    statement = sa.select(study).where(study.c.confirms.in_(study_ids))
    return {row.confirms: row for row in connection.execute(statement)}


def now(connection: sa.Connection) -> float:
    """Return the database's time."""
    seconds: float = connection.execute(sa.select(db_now())).scalar_one()
    return seconds


def insert_look(connection: sa.Connection, study_id: str, seeds: int, results: Sequence[Any]) -> None:
    """Insert the look of a sequential study at this number of seeds, taken at the database's time."""
    values = {"study_id": study_id, "seeds": seeds, "results": results, "taken_at": db_now()}
    connection.execute(sa.insert(study_look).values(values))


def looks_of(connection: sa.Connection, study_id: str) -> Sequence[Row]:
    """Return the looks of a sequential study, oldest first."""
    statement = sa.select(study_look).where(study_look.c.study_id == study_id)
    return connection.execute(statement.order_by(study_look.c.seeds)).all()


def run_of_each_arm(connection: sa.Connection, study_id: str) -> Mapping[str, Row]:
    """Return one run of each arm, by arm."""
    one = sa.select(sa.func.min(run.c.id)).where(run.c.study_id == study_id).group_by(run.c.arm)
    return {row.arm: row for row in connection.execute(sa.select(run).where(run.c.id.in_(one)))}


def newest_run(connection: sa.Connection, study_id: str) -> str | None:
    """Return the id of the newest run of a study; None if all were deleted."""
    newest: str | None = connection.scalar(sa.select(sa.func.max(run.c.id)).where(run.c.study_id == study_id))
    return newest


def page(
    connection: sa.Connection, *, before: tuple[float, str] | None, limit: int, owner: str | None = None
) -> Sequence[Row]:
    """Return studies (of ``owner``), newest first, starting after ``before`` (created_at, id)."""
    statement = sa.select(study).order_by(study.c.created_at.desc(), study.c.id.desc()).limit(limit)
    if owner is not None:
        statement = statement.where(study.c.owner == owner)
    if before is not None:
        statement = statement.where(sa.tuple_(study.c.created_at, study.c.id) < sa.tuple_(*before))
    return connection.execute(statement).all()


def change(connection: sa.Connection, study_id: str, values: Mapping[str, Any]) -> None:
    """Update a study."""
    connection.execute(sa.update(study).where(study.c.id == study_id).values(**values))


def delete(connection: sa.Connection, study_id: str) -> None:
    """Delete a study, but not its runs."""
    connection.execute(sa.delete(study).where(study.c.id == study_id))


def progress(connection: sa.Connection, study_ids: Sequence[str]) -> Sequence[Row]:
    """Return for each study, arm and status: the number of runs, epochs recorded and planned, and the last end."""
    columns = (run.c.study_id, run.c.arm, run.c.status)
    statement = (
        sa.select(
            *columns,
            sa.func.count().label("runs"),
            sa.func.sum(run.c.epoch).label("epoch"),
            sa.func.sum(run.c.epochs).label("epochs"),
            sa.func.max(run.c.finished_at).label("finished_at"),
        )
        .where(run.c.study_id.in_(study_ids))
        .group_by(*columns)
    )
    return connection.execute(statement).all()


def runs_of(
    connection: sa.Connection, study_id: str, *, specs: bool = False, folds: bool = False, splits: bool = False
) -> Sequence[Row]:
    """Return the columns of every run that comparisons need; ``has_series`` says whether its series are stored.

    ``fold`` is the index of the fold that validates, or None unless ``folds``; ``split`` is the split_seed, or None
    unless ``splits``. With ``specs``, rows have the ``spec``.
    """
    columns: list[Any] = [
        run.c[n] for n in ("id", "arm", "seed", "status", "error_code", "best", "epoch", "reused_from")
    ]
    trained = sa.func.coalesce(run.c.reused_from, run.c.id)
    columns.append(sa.exists().where(series.c.run_id == trained).correlate(run).label("has_series"))
    columns.append((run.c.spec["dataset", "fold", "index"].as_integer() if folds else sa.null()).label("fold"))
    columns.append((run.c.spec["dataset", "split_seed"].as_integer() if splits else sa.null()).label("split"))
    statement = sa.select(*columns, *([run.c.spec] if specs else [])).where(run.c.study_id == study_id)
    return connection.execute(statement.order_by(run.c.created_at, run.c.id)).all()


def data_vary(connection: sa.Connection, study_id: str, arm: str) -> bool:
    """Return whether an arm's data are generated, by several seeds. Reads one run of an arm with other data."""
    data_seed = run.c.spec["dataset", "data_seed"].as_integer()
    of_arm = sa.select(data_seed).where(run.c.study_id == study_id, run.c.arm == arm).limit(1)
    first = connection.scalar(of_arm)
    return first is not None and connection.execute(of_arm.where(data_seed != first)).first() is not None


def spec_of_each_arm(connection: sa.Connection, study_id: str) -> Mapping[str, Any]:
    """Return the spec of one run of each arm, by arm."""
    one = sa.select(sa.func.min(run.c.id)).where(run.c.study_id == study_id).group_by(run.c.arm)
    statement = sa.select(run.c.arm, run.c.spec).where(run.c.id.in_(one))
    return {row.arm: row.spec for row in connection.execute(statement)}


def guessing_of(connection: sa.Connection, study_id: str, metric: str) -> dict[str, float]:
    """Return the metric of predictions that ignore the inputs, by run id; without runs that have not recorded it."""
    value = run.c.baseline[metric].as_float()
    statement = sa.select(run.c.id, value.label("value")).where(run.c.study_id == study_id, value.is_not(None))
    return {row.id: row.value for row in connection.execute(statement)}


def unfinished(connection: sa.Connection, study_id: str) -> Sequence[Row]:
    """Lock and return the runs that have not ended."""
    active = (run.c.study_id == study_id, run.c.status.not_in(ENDED))
    return connection.execute(sa.select(run).where(*active).order_by(run.c.id).with_for_update()).all()


def series_of(connection: sa.Connection, study_id: str, names: Sequence[str]) -> Sequence[Row]:
    """Return the stored series of a study's finished runs: run_id, name, first, values."""
    trained = sa.func.coalesce(run.c.reused_from, run.c.id)
    columns = [run.c.id.label("run_id"), *(series.c[name] for name in ("name", "first", "values"))]
    statement = (
        sa.select(*columns)
        .select_from(run.join(series, series.c.run_id == trained))
        .where(run.c.study_id == study_id, series.c.name.in_(names))
    )
    return connection.execute(statement).all()


def ended_with(connection: sa.Connection, study_id: str, event_id: int) -> bool:
    """Return whether a study has ended, without a run that ended, a look or an end after ``event_id``."""
    active = sa.exists().where(run.c.study_id == study_id, run.c.status.not_in(ENDED))
    cancelled = sa.exists().where(run.c.study_id == study_id, run.c.status == "cancelled")
    further = study.c.next_look.is_not(None) | study.c.tuning_phase.in_(TUNING)
    continues = sa.exists().where(study.c.id == study_id, further) & ~cancelled
    ends = event.c.type.in_([*(f"run.{status}" for status in ENDED), LOOK, TUNED])
    later = sa.exists().where(event.c.id > event_id, ends, event.c.run_id == run.c.id, run.c.study_id == study_id)
    return not connection.scalar(sa.select(active | continues | later))
