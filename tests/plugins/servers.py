"""Servers of others that tests start, from an environment of their own, which ``make test`` makes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

SERVERS = Path(os.environ.get("FITWELL_TEST_SERVERS") or Path(sys.prefix) / "servers" / "bin")


def installed(name: str) -> str:
    """The command of a server."""
    if not (SERVERS / name).exists():
        pytest.skip(f"{name} is not there: make test installs it")
    return str(SERVERS / name)
