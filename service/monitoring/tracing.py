"""OpenTelemetry traces: a span for every request and for every SQL statement in it.

The standard variables configure the exporter (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, …).
Without an endpoint nothing is imported and nothing is traced.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version

import sqlalchemy as sa
from fastapi import FastAPI

from service.settings import SettingsError

ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXCLUDED_URLS = "healthz,readyz,metrics"


def trace(app: FastAPI, engine: sa.Engine) -> Callable[[], None]:
    """Trace ``app`` and ``engine`` if an endpoint is configured, and return the function that stops tracing.

    Raises:
        SettingsError: An endpoint is configured, but the OpenTelemetry packages are not installed.
    """
    variables = [name for name in ENDPOINT_VARIABLES if os.environ.get(name)]
    if not variables or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
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
            f"{variables[0]} is set, but {error.name} is not installed: pip install 'fitwell[otel]'."
        ) from error
    resource = Resource.create({"service.name": "fitwell", "service.version": version("fitwell")})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls=EXCLUDED_URLS)
    statements = SQLAlchemyInstrumentor()
    # The package declares SQLAlchemy < 2.1; a test checks that it works with the installed version.
    statements.instrument(engine=engine, tracer_provider=provider, skip_dep_check=True)

    def stop() -> None:
        """Send the remaining spans and stop tracing."""
        statements.uninstrument()
        provider.shutdown()

    return stop
