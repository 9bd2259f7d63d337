"""Logging of every process to standard error, as text or as one JSON object a line.

The ids of the request or runs that a line is about come from its context and are added to it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

Form = Literal["text", "json"]
LEVEL, FORM = "FITWELL_LOG_LEVEL", "FITWELL_LOG_FORMAT"
QUIET = {"alembic": logging.WARNING, "httpx2": logging.WARNING}
"""httpx2 logs the URL of every webhook at INFO, and URLs may contain secrets."""
_ABOUT: ContextVar[Mapping[str, object]] = ContextVar("about", default={})  # noqa: B039 - never changed, only replaced


@contextmanager
def about(**ids: object) -> Iterator[None]:
    """Add ids to every line logged in the block, also by threads that run in its context."""
    token = _ABOUT.set({**_ABOUT.get(), **ids})
    try:
        yield
    finally:
        _ABOUT.reset(token)


class _Text(logging.Formatter):
    """``2026-01-31 12:00:00,000 fitwell.api INFO what happened [request_id=req_…]``."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name of the overridden method
        """Return the line with its ids, without the traceback."""
        ids = " ".join(f"{name}={value}" for name, value in _ABOUT.get().items())
        return super().formatMessage(record) + (f" [{ids}]" if ids else "")


class _Json(JsonFormatter):
    """``{"time": …, "level": …, "logger": …, "message": …, "request_id": …}``."""

    def add_fields(
        self, log_data: dict[str, object], record: logging.LogRecord, message_dict: dict[str, object]
    ) -> None:
        """Add the ids to the object."""
        super().add_fields(log_data, record, message_dict)
        log_data |= _ABOUT.get()


def set_up(level: str, form: Form) -> None:
    """Configure logging in this process and in the processes that it starts."""
    os.environ[LEVEL], os.environ[FORM] = level, form
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        renamed = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(_Json("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=renamed))
    else:
        handler.setFormatter(_Text("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, min_level in QUIET.items():
        logging.getLogger(name).setLevel(min_level)


def set_up_as_parent() -> None:
    """Configure logging like the process that started this one."""
    set_up(os.environ.get(LEVEL, "INFO"), "json" if os.environ.get(FORM) == "json" else "text")
