"""The application: all wiring, nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version

from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool

from service.catalog import routes as catalog
from service.datasets import routes as datasets
from service.datasets.service import Uploads
from service.events import routes as events
from service.http import auth, problems
from service.http.openapi import openapi
from service.http.scopes import scoped
from service.http.tailer import Tailer
from service.models import picture_routes as pictures
from service.models import routes as models
from service.models.service import Models
from service.monitoring import health, metrics, tracing
from service.monitoring.stats import Stats
from service.runs import artifact_routes as artifacts
from service.runs import bulk_routes as bulk
from service.runs import derive_routes as derive
from service.runs import history_routes as history
from service.runs import routes as runs
from service.runs.bodies import run_of
from service.runs.housekeeping import Housekeeping
from service.runs.reader import RunReader
from service.runs.service import Runs
from service.settings import Settings, exposed
from service.store.database import migrate, open_engine
from service.studies import history_routes as histories
from service.studies import routes as studies
from service.studies.service import Studies
from service.tokens import routes as tokens
from service.tokens.service import Tokens
from service.web import assets, middleware
from service.web.pages import reports, sign_in
from service.web.pages import runs as run_pages
from service.web.pages import studies as study_pages
from service.webhooks import messages as webhook_messages
from service.webhooks import routes as webhooks
from service.webhooks.webhooks import Webhooks
from service.workers import routes as workers
from service.workers.jobs import Jobs

LOG = logging.getLogger("fitwell.service")
LAST_USE_SECONDS = 5.0
"""How often the last uses of tokens are stored."""
API = (
    *(bulk, runs, derive, history, artifacts, models, pictures, studies, histories, datasets, events, webhooks),
    *(catalog, workers, health, metrics, tokens),
)
PAGES = (run_pages, study_pages, reports, sign_in, assets)


def create_app(settings: Settings, *, address: str | None = None) -> FastAPI:
    """Return the service on the database in ``settings``, which is migrated first.

    Args:
        settings: The settings.
        address: Where the server listens, if not at ``settings.host``.

    Raises:
        SettingsError: Tokens are off although other machines can reach the server.
        StoreError: The database cannot be used.
    """
    reachable = exposed(settings, address)
    engine = open_engine(settings)
    migrate(engine)
    reader, jobs = RunReader(engine, settings), Jobs(engine, settings)
    token_service, webhook_service = Tokens(engine, settings, exposed=reachable), Webhooks.on(engine, settings)
    tailer = Tailer(
        reader.last_event_id,
        lambda last, limit: [events.stream_event(event) for event in reader.events(None, after=last, limit=limit)],
    )
    model_service, uploads = Models(engine, settings), Uploads(engine, settings)
    housekeeping = Housekeeping(engine, settings)
    uploads.clean()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tailer.start()
        webhook_service.sender.start()
        tasks = (
            asyncio.create_task(_every(settings.reap_seconds, lambda: _expire(jobs), "Expired leases")),
            asyncio.create_task(_every(LAST_USE_SECONDS, token_service.note_uses, "Last uses of tokens")),
            asyncio.create_task(_every(settings.housekeeping_seconds, housekeeping.look, "Housekeeping")),
            asyncio.create_task(_every(settings.housekeeping_seconds, uploads.sweep_storage, "Sweep of uploads")),
        )
        yield
        for task in tasks:
            task.cancel()
        tailer.close()
        await webhook_service.sender.close()
        await model_service.close()
        stop_tracing()
        engine.dispose()

    app = FastAPI(
        title="Fitwell",
        summary="It trains what you describe and tells you, honestly, whether it fits.",
        version=version("fitwell"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # the target would be built from the Host header, which anybody can forge
        dependencies=[Depends(scoped)],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.tailer, app.state.settings = tailer, settings
    run_service, study_service = Runs(engine, settings), Studies(engine, settings, run_of)
    services = (run_service, reader, study_service, model_service, uploads, token_service, webhook_service)
    app.state.services = {type(service): service for service in services}
    for module in (*API, *PAGES):
        app.include_router(module.router)
    app.webhooks.include_router(webhook_messages.router)
    stop_tracing = tracing.trace(app, engine)
    auth.install(app, token_service, settings)
    metrics.install(app, Stats(engine, settings))
    problems.install(app)
    app.add_middleware(middleware.DashboardMiddleware)
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


def _expire(jobs: Jobs) -> None:
    """Requeue the runs of workers that stopped responding."""
    expired = jobs.expire()
    if expired:
        LOG.warning("requeued %d run(s) of workers that stopped responding", expired)


async def _every(seconds: float, task: Callable[[], object], name: str) -> None:
    """Run ``task`` in a thread, again and again; a failure is logged, and the next run tries again."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await run_in_threadpool(task)
        except Exception:
            LOG.exception("%s failed", name)
