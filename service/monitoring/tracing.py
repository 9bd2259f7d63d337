"""Traces: a span for every request and every statement in it, by OpenTelemetry.

They are sent where the variables say that every OpenTelemetry SDK knows (OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME …); nothing is loaded where none of them names a place.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version

import sqlalchemy as sa
from fastapi import FastAPI

from service.settings import SettingsError

PLACES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
LEFT_OUT = "healthz,readyz,metrics"


def trace(app: FastAPI, engine: sa.Engine) -> Callable[[], None]:
    """Trace what ``app`` and ``engine`` do, if a place for traces is named; what is to be called at the end.

    Raises:
        SettingsError: a place is named, and what sends there is not installed.
    """
    named = [name for name in PLACES if os.environ.get(name)]
    if not named or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            f"{named[0]}: traces need pip install 'fitwell[otel]' ({error.name} is missing)."
        ) from error
    resource = Resource.create({"service.name": "fitwell", "service.version": version("fitwell")})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls=LEFT_OUT)
    statements = SQLAlchemyInstrumentor()
    # It says that it knows SQLAlchemy below 2.1 alone; tests hold that it does its work with ours.
    statements.instrument(engine=engine, tracer_provider=provider, skip_dep_check=True)

    def end() -> None:
        """Send what is left, and trace no more."""
        statements.uninstrument()
        provider.shutdown()

    return end
