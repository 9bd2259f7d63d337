"""Clients of one test process share the certificates that they trust, which take 30 ms to load each time."""

from __future__ import annotations

import functools
from typing import Any

import httpcore2


def pytest_collection_finish() -> None:
    """Load the default certificates once."""
    transport: Any = httpcore2
    transport.default_ssl_context = functools.cache(transport.default_ssl_context)
