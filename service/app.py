"""The application: all wiring, nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool

from service.api import again, bulk, catalog, events, health, history, problems, runs, studies, written
from service.api.study_bodies import run_of
from service.api.tailer import Tailer
from service.runs.jobs import Jobs
from service.runs.runs import Runs
from service.settings import Settings
from service.store.database import migrate, open_engine
from service.studies.studies import Studies

LOG = logging.getLogger("fitwell.service")


def create_app(settings: Settings) -> FastAPI:
    """The service on the database in ``settings``, migrated.

    Raises:
        StoreError: the database cannot be used.
    """
    engine = open_engine(settings)
    migrate(engine)
    the_runs, jobs = Runs(engine, settings), Jobs(engine, settings)
    tailer = Tailer(
        the_runs.last_event_id,
        lambda last, limit: [events.told(event) for event in the_runs.events(None, after=last, limit=limit)],
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tailer.start()
        reaper = asyncio.create_task(_reap(jobs, settings.reap_seconds))
        yield
        reaper.cancel()
        tailer.close()
        engine.dispose()

    app = FastAPI(
        title="Fitwell",
        summary="It trains what you describe and tells you, honestly, whether it fits.",
        version=version("fitwell"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.runs, app.state.tailer, app.state.settings = the_runs, tailer, settings
    app.state.studies = Studies(engine, settings, run_of)
    for routes in (bulk, runs, again, history, written, studies, events, catalog, health):
        app.include_router(routes.router)
    app.include_router(history.several)
    problems.install(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


async def _reap(jobs: Jobs, seconds: float) -> None:
    """Take back, now and then, the runs of workers that fell silent."""
    while True:
        await asyncio.sleep(seconds)
        try:
            expired = await run_in_threadpool(jobs.expire)
            if expired:
                LOG.warning("%d run(s) were taken back from silent workers", expired)
        except Exception:
            LOG.exception("lost leases could not be looked for")


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the bodies that are read as bytes."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            summary=app.summary,
            version=app.version,
            routes=app.routes,
            license_info=app.license_info,
        )
        document["components"]["schemas"] |= catalog.body_schemas()
        app.openapi_schema = document
    return app.openapi_schema
