"""The database's history as Alembic revisions; run at start, inside one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0010"
"""The newest revision: a start finds the database there and need not import Alembic (a test holds this)."""


def config() -> Config:
    """Return Alembic's configuration, wherever the package is installed."""
    from alembic.config import Config  # noqa: PLC0415 - slow to import, and rarely needed

    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return configuration
