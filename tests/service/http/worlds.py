"""A service that requires tokens, with an admin and two owners who have one resource of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store.database import open_engine
from service.tokens.service import Tokens
from service.tokens.token import NewToken
from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured
from worker.ports import Checkpoint, Outcome, WeightsFile

OPEN = {"/healthz", "/readyz"}


MARK = "alices-secret"


PUBLIC = {"name": "overfit_classifier"}
"""Path parameters of resources without an owner."""


class World:
    """A server that requires tokens, with the headers of its callers."""

    def __init__(self, app: FastAPI, client: TestClient) -> None:
        self.app, self.client = app, client
        self.admin = self.token("root", "admin")
        self.alice, self.bob = self.token("alice", "write"), self.token("bob", "write")

    @cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document: dict[str, Any] = self.client.get("/openapi.json", headers=self.bob).json()
        return document

    def token(self, owner: str, scope: Any, **more: Any) -> dict[str, str]:
        """Return the headers of a new token."""
        _, secret = self.app.state.services[Tokens].create(NewToken(name="test", owner=owner, scopes=[scope], **more))
        return {"authorization": f"Bearer {secret}"}

    def furnish(self, headers: dict[str, str], mark: str) -> dict[str, str]:
        """Create one resource of every kind; return their ids as path parameters."""
        labelled = body(name=mark, labels={"k": mark}, seed=len(mark))
        run = self.client.post("/v1/runs", json=labelled, headers=headers).json()
        engine = open_engine(self.app.state.settings)
        work = Jobs(engine, self.app.state.settings)
        (claim,) = work.claim(WORKER, limit=1)
        work.record([claim], [measured(run["id"], 1, train_loss=1, val_loss=2)])
        reports: dict[str, Any] = {"confusion": [[1] * 10] * 10, "weights": []}
        work.finish([claim], [Outcome(run_id=run["id"], status="succeeded", reports=reports)])
        engine.dispose()
        base = body(regularizers=[{"kind": "l2", "strength": 1e-4 * len(mark)}])
        study = self.client.post("/v1/studies", json={"base": base, "name": mark}, headers=headers).json()
        me = self.client.get("/v1/tokens/me", headers=headers).json()
        hook = {"url": f"http://127.0.0.1:9/{mark}", "events": ["run.cancelled"]}
        endpoint = self.client.post("/v1/webhook_endpoints", json=hook, headers=headers).json()
        things = {"run_id": run["id"], "study_id": study["id"], "token_id": me["token"]["id"]}
        table = "x,y\n" + "".join(f"{i + len(mark)},{'ab'[i % 2]}\n" for i in range(20))
        csv = {**headers, "content-type": "text/csv"}
        dataset = self.client.post("/v1/datasets", params={"name": mark}, content=table, headers=csv).json()
        return things | {"endpoint_id": endpoint["id"], "delivery_id": "msg_none", "dataset_id": dataset["id"]}

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                yield method.upper(), path, operation

    def call(self, method: str, path: str, operation: dict[str, Any], headers: Any, **options: Any) -> Any:
        """Call an operation with the example of its body's schema."""
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            if media_type.endswith("json"):
                name = content["schema"]["$ref"].rpartition("/")[2]
                options.setdefault("json", self.document["components"]["schemas"][name]["examples"][0])
            else:
                options.setdefault("content", b"")
                headers = {**headers, "content-type": media_type}
            break
        return self.client.request(method, path, headers=headers, **options)


def guarded(home: Path, **more: Any) -> Settings:
    """Return settings of a server that requires tokens."""
    return Settings(data_dir=home, auth="required", webhook_allow_private=True, **more)


def opened(settings: Settings) -> Iterator[World]:
    app = create_app(settings)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield World(app, client)


def filled(path: str, things: dict[str, str]) -> str:
    """Return the path with its parameters; a new kind of resource needs a line in ``World.furnish``."""
    return path.format(**PUBLIC, **things)


def owned(path: str) -> bool:
    return "{" in path and not any(f"{{{name}}}" in path for name in PUBLIC)


def finished(world: World, headers: dict[str, str], **changes: Any) -> str:
    """Create a run that was trained for one epoch and has weights; return its id."""
    run = world.client.post("/v1/runs", json=body(epochs=1, **changes), headers=headers).json()
    engine = open_engine(world.app.state.settings)
    work = Jobs(engine, world.app.state.settings)
    (claim,) = work.claim(WORKER, limit=1)
    work.record([claim], [measured(run["id"], 1)])
    saved = Checkpoint(epoch=1, path="c", sha256="c" * 64, bytes=1, digest="d")
    stored = WeightsFile(at="last", epoch=1, path="w", sha256="a" * 64, bytes=1)
    work.checkpointed([claim], {run["id"]: saved}, {run["id"]: [stored]})
    work.finish([claim], [Outcome(run_id=run["id"], status="succeeded")])
    engine.dispose()
    return str(run["id"])
