"""The worker's composition root: the only file of the worker that knows the service.

python -P -m worker                 train what is queued, until told to stop
python -P -m worker data            list the datasets as JSON
python -P -m worker fetch KIND      bring a dataset into the data directory
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from importlib.metadata import version
from types import FrameType

from ulid import ULID

from service.runs.jobs import Jobs
from service.settings import Settings, SettingsError, load
from service.store.database import StoreError, migrate, open_engine
from worker import logs
from worker.agent import Agent, AgentSettings
from worker.ports import WorkerInfo
from worker.spec.datasets import KINDS
from worker.spec.datasets.uploaded import Uploaded
from worker.spec.families.dataset import BuiltIn

FAILED = 1
BUILT_IN = {kind: part for kind, part in KINDS.items() if issubclass(part, BuiltIn)}


def main() -> int:
    """Do what the command line says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m worker")
    parser.add_argument("verb", nargs="?", choices=("train", "data", "fetch"), default="train")
    parser.add_argument("kind", nargs="?", choices=sorted(BUILT_IN))
    given = parser.parse_args()
    try:
        settings = load()
    except SettingsError as error:
        print(f"fitwell worker: {error}", file=sys.stderr)  # noqa: T201
        return FAILED
    if given.verb == "data":
        return _list_data(settings)
    if given.verb == "fetch":
        return _fetch(settings, given.kind) if given.kind else parser.error("fetch needs a dataset's kind")
    return _train(settings)


def _train(settings: Settings) -> int:
    logs.set_up(settings.log_level, settings.log_format)
    try:
        engine = open_engine(settings)
        migrate(engine)
    except StoreError as error:
        print(f"fitwell worker: {error}", file=sys.stderr)  # noqa: T201
        return FAILED
    agent = Agent(Jobs(engine, settings), _info(settings), _agent_settings(settings))

    def stop(signal_number: int, frame: FrameType | None) -> None:
        agent.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    agent.run()
    return 0


def _info(settings: Settings) -> WorkerInfo:
    return WorkerInfo(
        worker_id=f"wrk_{ULID()}",
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
    )


def _list_data(settings: Settings) -> int:
    home, parts = settings.datasets, [part(kind=kind) for kind, part in KINDS.items() if part is not Uploaded]
    found = [
        {"kind": part.kind, "rows": list(part.rows), "shape": list(part.shape), "missing": part.missing(home)}
        for part in parts
    ]
    print(json.dumps(found))  # noqa: T201
    return 0


def _fetch(settings: Settings, kind: str) -> int:
    def tell(file: str, done: int, total: int) -> None:
        print(json.dumps({"file": file, "done": done, "total": total}), flush=True)  # noqa: T201

    part = BUILT_IN[kind]
    try:
        if part.missing(settings.datasets) is not None:
            part.fetch(settings.datasets, tell)
    except (ConnectionError, OSError) as error:
        print(f"fitwell data fetch: {error}", file=sys.stderr)  # noqa: T201
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
