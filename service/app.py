"""The application: all wiring, nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool

from service.catalog import routes as catalog
from service.datasets import routes as datasets
from service.datasets.service import Uploads
from service.events import routes as events
from service.http import auth as edge
from service.http import problems
from service.http import scopes as access
from service.http.tailer import Tailer
from service.models import picture_routes as pictures
from service.models import routes as models
from service.models.service import Models
from service.monitoring import health, metrics
from service.monitoring import tracing as telemetry
from service.monitoring.stats import Stats
from service.runs import artifact_routes as written
from service.runs import bulk_routes as bulk
from service.runs import derive_routes as again
from service.runs import history_routes as history
from service.runs import routes as runs
from service.runs.bodies import run_of
from service.runs.housekeeping import Housekeeping
from service.runs.reader import RunReader
from service.runs.service import Runs
from service.settings import Settings, exposed
from service.store.database import migrate, open_engine
from service.studies import routes as studies
from service.studies.service import Studies
from service.tokens import routes as tokens
from service.tokens.service import Tokens
from service.web import assets
from service.web import middleware as answers
from service.web.pages import reports
from service.web.pages import runs as pages
from service.web.pages import sign_in as session
from service.web.pages import studies as study_pages
from service.webhooks import messages as webhook_messages
from service.webhooks import routes as webhooks
from service.webhooks.webhooks import Webhooks
from service.workers.jobs import Jobs

LOG = logging.getLogger("fitwell.service")
NOTE_SECONDS = 5.0


def create_app(settings: Settings, *, address: str | None = None) -> FastAPI:
    """The service on the database in ``settings``, migrated; ``address``: where it listens, if not at ``host``.

    Raises:
        SettingsError: tokens are off where other machines come in.
        StoreError: the database cannot be used.
    """
    reachable = exposed(settings, address)
    engine = open_engine(settings)
    migrate(engine)
    records, jobs = RunReader(engine, settings), Jobs(engine, settings)
    the_tokens, the_webhooks = Tokens(engine, settings, exposed=reachable), Webhooks.on(engine, settings)
    tailer = Tailer(
        records.last_event_id,
        lambda last, limit: [events.told(event) for event in records.events(None, after=last, limit=limit)],
    )
    the_models = Models(engine, settings)
    uploads = Uploads(engine, settings)
    uploads.clean()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tailer.start()
        the_webhooks.sender.start()
        reaper = asyncio.create_task(_reap(jobs, settings.reap_seconds))
        noting = asyncio.create_task(_note_uses(the_tokens))
        keeping = asyncio.create_task(
            _keep_house(Housekeeping(engine, settings), uploads, settings.housekeeping_seconds)
        )
        yield
        for task in (reaper, noting, keeping):
            task.cancel()
        tailer.close()
        await the_webhooks.sender.close()
        await the_models.close()
        tracing()
        engine.dispose()

    app = FastAPI(
        title="Fitwell",
        summary="It trains what you describe and tells you, honestly, whether it fits.",
        version=version("fitwell"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(access.scoped)],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.tailer, app.state.settings = tailer, settings
    services = (
        Runs(engine, settings),
        records,
        Studies(engine, settings, run_of),
        the_models,
        uploads,
        the_tokens,
        the_webhooks,
    )
    app.state.services = {type(service): service for service in services}
    of_runs = (bulk, runs, again, history, written, models, pictures)
    for routes in (*of_runs, studies, datasets, events, webhooks, catalog, health, metrics, tokens):
        app.include_router(routes.router)
    app.include_router(history.several)
    for shown in (pages, study_pages, reports, session, assets):
        app.include_router(shown.router)
    app.webhooks.include_router(webhook_messages.router)
    tracing = telemetry.trace(app, engine)
    edge.install(app, the_tokens, settings)
    metrics.install(app, Stats(engine, settings))
    problems.install(app)
    app.add_middleware(answers.Answers)
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


async def _note_uses(tokens: Tokens) -> None:
    """Write down, now and then, when tokens were last used."""
    while True:
        await asyncio.sleep(NOTE_SECONDS)
        try:
            await run_in_threadpool(tokens.note_uses)
        except Exception:
            LOG.exception("the last uses of tokens could not be written down")


async def _keep_house(housekeeping: Housekeeping, uploads: Uploads, seconds: float) -> None:
    """Remove, now and then, what can go."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await run_in_threadpool(housekeeping.look)
            await run_in_threadpool(uploads.sweep_storage)
        except Exception:
            LOG.exception("what can go could not be removed")


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the bodies that are read as bytes."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            summary=app.summary,
            version=app.version,
            routes=app.routes,
            webhooks=app.webhooks.routes,
            license_info=app.license_info,
        )
        document["components"]["schemas"] |= catalog.body_schemas()
        access.tell(document)
        app.openapi_schema = document
    return app.openapi_schema
