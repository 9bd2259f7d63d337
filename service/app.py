"""The application: all wiring, nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import version

import sqlalchemy as sa
from fastapi import Depends, FastAPI

from service.bias_variance import routes as bias_variance
from service.bias_variance.service import BiasVariances
from service.catalog import routes as catalog
from service.datasets import routes as datasets
from service.datasets.service import Uploads
from service.events import routes as events
from service.http import auth, problems
from service.http.openapi import openapi
from service.http.scopes import scoped
from service.http.tailer import StreamEvent, Tailer
from service.http.threads import run_to_end
from service.importance import routes as importance
from service.models import file_routes as model_files
from service.models import picture_routes as pictures
from service.models import routes as models
from service.models import snapshot_routes as snapshots
from service.models.service import Models
from service.monitoring import health, metrics, tracing
from service.monitoring.stats import Stats
from service.reproductions import routes as reproductions
from service.reproductions.service import Reproductions
from service.runs import artifact_routes as artifacts
from service.runs import bulk_routes as bulk
from service.runs import comparison_routes as run_comparison
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
from service.studies.bodies import StudyBody
from service.studies.sequencer import Sequencer
from service.studies.service import Studies
from service.studies.tuner import Tuner
from service.tokens import routes as tokens
from service.tokens.service import Tokens
from service.web import assets, middleware
from service.web.pages import compare as compare_page
from service.web.pages import datasets as dataset_pages
from service.web.pages import documentation as documentation_pages
from service.web.pages import queue as queue_page
from service.web.pages import reports, reproduction_reports, sign_in
from service.web.pages import reproductions as reproduction_pages
from service.web.pages import runs as run_pages
from service.web.pages import settings as settings_page
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
    *(
        bulk,
        runs,
        derive,
        history,
        run_comparison,
        snapshots,
        artifacts,
        models,
        model_files,
        pictures,
        studies,
        importance,
        bias_variance,
        histories,
        reproductions,
        datasets,
        events,
        webhooks,
    ),
    *(catalog, workers, health, metrics, tokens),
)
PAGES = (
    *(run_pages, compare_page, study_pages, dataset_pages, reproduction_pages),
    *(queue_page, settings_page, documentation_pages),
    *(reports, reproduction_reports, sign_in, assets),
)


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
    services = Services.on(engine, settings, exposed=reachable)
    services.uploads.clean()
    app = with_routes(lambda app: _lifespan(app, services))
    app.state.settings, app.state.tailer, app.state.services = settings, services.tailer, services.by_type
    app.state.stop_tracing = tracing.trace(app, engine)
    _install_middleware(app, services)
    return app


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services of an application, on one database."""

    engine: sa.Engine
    settings: Settings
    runs: Runs
    reader: RunReader
    studies: Studies
    reproductions: Reproductions
    models: Models
    bias_variances: BiasVariances
    uploads: Uploads
    tokens: Tokens
    webhooks: Webhooks
    jobs: Jobs
    housekeeping: Housekeeping
    sequencer: Sequencer
    tuner: Tuner
    tailer: Tailer

    @classmethod
    def on(cls, engine: sa.Engine, settings: Settings, *, exposed: bool) -> Services:
        """Return the services; ``exposed`` is whether other machines can reach the server."""
        run_service, reader = Runs(engine, settings), RunReader(engine, settings)
        studies, models = Studies(engine, settings, run_of), Models(engine, settings)
        bias_variances = BiasVariances(studies, models)

        def events_after(last: int, limit: int) -> list[StreamEvent]:
            return [events.stream_event(event) for event in reader.events(None, after=last, limit=limit)]

        return cls(
            engine=engine,
            settings=settings,
            runs=run_service,
            reader=reader,
            studies=studies,
            reproductions=Reproductions(engine, settings, studies, bias_variances, run_of, StudyBody.study_of),
            models=models,
            bias_variances=bias_variances,
            uploads=Uploads(engine, settings),
            tokens=Tokens(engine, settings, exposed=exposed),
            webhooks=Webhooks.on(engine, settings),
            jobs=Jobs(engine, settings),
            housekeeping=Housekeeping(engine, settings),
            sequencer=Sequencer(engine, settings, StudyBody.plan_of),
            tuner=Tuner(engine, settings, studies, StudyBody.study_of),
            tailer=Tailer(reader.last_event_id, events_after),
        )

    @property
    def by_type(self) -> dict[type, object]:
        """The services that routes depend on."""
        services = (
            *(self.runs, self.reader, self.studies, self.reproductions),
            *(self.models, self.bias_variances, self.uploads, self.tokens, self.webhooks),
        )
        return {type(service): service for service in services}


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI, services: Services) -> AsyncIterator[None]:
    """Run the background tasks while the application runs, and close everything when it ends."""
    services.tailer.start()
    services.webhooks.sender.start()
    tasks = _start_tasks(services)
    yield
    for task in tasks:
        task.cancel()
    services.tailer.close()
    await asyncio.wait(tasks)
    await services.tailer.wait_closed()
    await services.webhooks.sender.close()
    await services.models.close()
    app.state.stop_tracing()
    services.engine.dispose()


def _start_tasks(services: Services) -> list[asyncio.Task[None]]:
    """Start what is repeated in the background."""
    settings = services.settings
    tasks: tuple[tuple[str, float, Callable[[], object]], ...] = (
        ("Expired leases", settings.reap_seconds, lambda: _expire(services.jobs)),
        ("Looks of sequential studies", settings.look_seconds, services.sequencer.advance),
        ("Steps of tuned studies", settings.look_seconds, services.tuner.advance),
        ("Last uses of tokens", LAST_USE_SECONDS, services.tokens.note_uses),
        ("Housekeeping", settings.housekeeping_seconds, services.housekeeping.look),
        ("Sweep of uploads", settings.housekeeping_seconds, services.uploads.sweep_storage),
    )
    return [asyncio.create_task(_every(seconds, task, name)) for name, seconds, task in tasks]


def with_routes(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None) -> FastAPI:
    """Return an application with all routes, and without the services that these depend on."""
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
    for module in (*API, *PAGES):
        app.include_router(module.router)
    app.webhooks.include_router(webhook_messages.router)
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


def _install_middleware(app: FastAPI, services: Services) -> None:
    """Install middleware and error handlers; each wraps those before it."""
    auth.install(app, services.tokens, services.settings)
    metrics.install(app, Stats(services.engine, services.settings))
    problems.install(app)
    app.add_middleware(middleware.DashboardMiddleware)


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
            await run_to_end(task)
        except Exception:
            LOG.exception("%s failed", name)
