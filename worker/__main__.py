"""The worker's composition root: the only file of the worker that knows the service.

python -P -m worker                 train queued runs until stopped
python -P -m worker --ray ADDRESS   start workers on a Ray cluster, until stopped
python -P -m worker data            list the datasets as JSON
python -P -m worker fetch KIND      download a dataset into the data directory
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from types import FrameType

import sqlalchemy as sa
from ulid import ULID

from service.settings import Settings, SettingsError, load
from service.store.database import StoreError, migrate, open_engine
from service.workers.jobs import Jobs
from service.workers.queue import Queue
from worker import lifetime, logs
from worker.agent import Agent
from worker.agent_settings import AgentSettings
from worker.ports import WorkerInfo
from worker.spec.datasets import KINDS
from worker.spec.datasets.uploaded import Uploaded
from worker.spec.families.built_in import BuiltIn
from worker.spec.fetched import Fetched

FAILED = 1
LOCAL = 5
"""``fitwell.exit_codes.Exit.LOCAL``: a problem on this machine."""
IDLE_SECONDS = 3.0
"""A worker on a cluster ends after being idle for this long, to free its resources."""
FORWARDED_PREFIXES = ("FITWELL_", "PG", "AWS_")
"""Prefixes of the environment variables that workers on a cluster receive: settings, libpq's, the bucket's."""
BUILT_IN = {kind: part for kind, part in KINDS.items() if issubclass(part, BuiltIn | Fetched)}


def main() -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m worker")
    parser.add_argument("verb", nargs="?", choices=("train", "data", "fetch"), default="train")
    parser.add_argument("kind", nargs="?", choices=sorted(BUILT_IN))
    parser.add_argument("--ray", metavar="ADDRESS")
    parser.add_argument(lifetime.OPTION, action="store_true", help="end when standard input ends")
    arguments = parser.parse_args()
    if arguments.end_with_parent:
        lifetime.end_with_parent()
    try:
        settings = load()
    except SettingsError as error:
        return _fail(str(error))
    if arguments.verb == "data":
        return _list_data(settings)
    if arguments.verb == "fetch":
        return _fetch(settings, arguments.kind) if arguments.kind else parser.error("fetch needs a dataset's kind")
    if arguments.ray is not None and (refusal := _no_cluster(settings)) is not None:
        return _fail(refusal, LOCAL)
    logs.set_up(settings.log_level, settings.log_format)
    try:
        engine = open_engine(settings)
        migrate(engine)
    except StoreError as error:
        return _fail(str(error))
    return _train(settings, engine) if arguments.ray is None else _dispatch(settings, engine, arguments.ray)


def _fail(reason: str, code: int = FAILED) -> int:
    print(f"fitwell worker: {reason}", file=sys.stderr)  # noqa: T201
    return code


def _train(settings: Settings, engine: sa.Engine) -> int:
    agent = Agent(Jobs(engine, settings), _info(settings, f"wrk_{ULID()}"), _agent_settings(settings))
    _on_signals(agent.stop)
    agent.run()
    return 0


def _on_signals(stop: Callable[[], None]) -> None:
    def stop_on_signal(signal_number: int, frame: FrameType | None) -> None:
        stop()

    signal.signal(signal.SIGTERM, stop_on_signal)
    signal.signal(signal.SIGINT, stop_on_signal)


def _no_cluster(settings: Settings) -> str | None:
    """Return why these settings do not work with a cluster, or None if they do."""
    if not (settings.database_url or "").startswith("postgres"):
        return (
            "--ray needs PostgreSQL: its workers run on several machines, and SQLite serves only one. Set "
            "FITWELL_DATABASE_URL to postgresql+psycopg://user@host/database, for `fitwell api` as well; on this "
            "machine alone `fitwell serve` starts a worker for each processor."
        )
    if settings.device.startswith("cuda:"):
        return f"FITWELL_DEVICE is {settings.device!r}. With --ray set it to 'cuda': Ray assigns a GPU to each worker."
    if find_spec("ray") is None:
        return "--ray needs the package ray, which is not installed. Run pip install 'fitwell[ray]'."
    return None


def _dispatch(settings: Settings, engine: sa.Engine, address: str) -> int:
    from worker import ray_cluster
    from worker.__main__ import agent_on_cluster  # not as __main__, so that Ray can pickle it
    from worker.dispatcher import Dispatcher

    threads = settings.threads or 1
    environment = {name: value for name, value in os.environ.items() if name.startswith(FORWARDED_PREFIXES)}
    environment |= {"FITWELL_DATA_DIR": str(settings.home), "FITWELL_THREADS": str(threads)}
    needs = {"CPU": threads} | ({"GPU": 1} if settings.device == "cuda" else {})
    template = replace(_info(settings, ""), host="ray", pid=0, details={"threads": threads})
    try:
        ray_cluster.connect(address)
    except ray_cluster.ClusterUnavailable as error:
        return _fail(str(error), LOCAL)
    cluster = ray_cluster.RayCluster(_prefix(settings, engine.url), agent_on_cluster, environment, needs)
    dispatcher = Dispatcher(cluster, Jobs(engine, settings), Queue(engine, settings), template, settings.lease_seconds)
    _on_signals(dispatcher.stop)
    dispatcher.run()
    return 0


def _prefix(settings: Settings, url: sa.URL) -> str:
    """Return the name prefix of this queue's actors, which depends on the database and the kind of device."""
    database = (url.host or url.query.get("host"), url.port, url.database, settings.device)
    return hashlib.sha256(repr(database).encode()).hexdigest()[:8] + "-"


def agent_on_cluster(worker_id: str, details: Mapping[str, object]) -> Agent:
    """Return the agent of a worker on a cluster, with settings from its environment.

    Raises:
        StoreError: The data directory or the database cannot be used from that machine.
    """
    settings = load()
    logs.set_up(settings.log_level, settings.log_format)
    if not settings.home.is_dir():
        raise StoreError(
            f"The data directory {settings.home} does not exist on {socket.gethostname()}. All machines of "
            "the cluster must share it, at the same path."
        )
    info = _info(settings, worker_id)
    info = replace(info, details={**info.details, **details})
    agent_settings = replace(_agent_settings(settings), idle_seconds=IDLE_SECONDS)
    return Agent(Jobs(open_engine(settings), settings), info, agent_settings)


def _info(settings: Settings, worker_id: str) -> WorkerInfo:
    return WorkerInfo(
        worker_id=worker_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        devices=tuple(dict.fromkeys(("cpu", settings.device))),
        details={"torch": version("torch"), "python": sys.version.split()[0], "threads": _threads(settings)},
    )


def _threads(settings: Settings) -> int:
    return settings.threads or len(os.sched_getaffinity(0))


def _agent_settings(settings: Settings) -> AgentSettings:
    return AgentSettings(
        datasets=settings.datasets,
        checkpoints=settings.checkpoints,
        checkpoint_seconds=settings.checkpoint_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        lease_seconds=settings.lease_seconds,
        poll_seconds=settings.poll_seconds,
        stack_limit=settings.stack_limit,
        threads=_threads(settings),
        device=settings.device,
        storage_url=settings.storage_url,
    )


def _list_data(settings: Settings) -> int:
    home, parts = settings.datasets, [part(kind=kind) for kind, part in KINDS.items() if part is not Uploaded]
    datasets = [
        {"kind": part.kind, "rows": list(part.rows), "shape": list(part.shape), "missing": part.missing(home)}
        for part in parts
    ]
    print(json.dumps(datasets))  # noqa: T201
    return 0


def _fetch(settings: Settings, kind: str) -> int:
    def report(file: str, done: int, total: int) -> None:
        print(json.dumps({"file": file, "done": done, "total": total}), flush=True)  # noqa: T201

    part = BUILT_IN[kind]
    try:
        if part.missing(settings.datasets) is not None:
            part.fetch(settings.datasets, report)
    except (ConnectionError, OSError) as error:
        print(f"fitwell data fetch: {error}", file=sys.stderr)  # noqa: T201
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
