"""How every process logs, to standard error: lines for people, or objects for programs, one a line (JSON).

What a line is about, the request or the runs, belongs to the context that it is written in, and is put beside it.
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
"""The second tells of every webhook, and URLs may hold secrets."""
_ABOUT: ContextVar[Mapping[str, object]] = ContextVar("about", default={})  # noqa: B039 - never changed, only replaced


@contextmanager
def about(**ids: object) -> Iterator[None]:
    """Put these beside every line that is written in the block, in threads that are given its context, too."""
    token = _ABOUT.set({**_ABOUT.get(), **ids})
    try:
        yield
    finally:
        _ABOUT.reset(token)


class _Text(logging.Formatter):
    """``2026-01-31 12:00:00,000 fitwell.api INFO what happened [request_id=req_…]``."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - its name there
        """The line; a traceback follows it."""
        ids = " ".join(f"{name}={value}" for name, value in _ABOUT.get().items())
        return super().formatMessage(record) + (f" [{ids}]" if ids else "")


class _Json(JsonFormatter):
    """``{"time": …, "level": …, "logger": …, "message": …, "request_id": …}``."""

    def add_fields(
        self, log_data: dict[str, object], record: logging.LogRecord, message_dict: dict[str, object]
    ) -> None:
        """Fill the object."""
        super().add_fields(log_data, record, message_dict)
        log_data |= _ABOUT.get()


def set_up(level: str, form: Form) -> None:
    """Log so from now on; processes that this one starts do the same."""
    os.environ[LEVEL], os.environ[FORM] = level, form
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        renamed = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(_Json("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=renamed))
    else:
        handler.setFormatter(_Text("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(least)


def set_up_as_parent() -> None:
    """Log as the process that started this one."""
    set_up(os.environ.get(LEVEL, "INFO"), "json" if os.environ.get(FORM) == "json" else "text")
