"""The database's history as Alembic revisions; run at start, inside one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = max(path.name[:4] for path in Path(__file__).parent.glob("versions/[0-9]*.py"))
"""The newest revision, by file name; a server that finds the database there need not import Alembic."""


def config() -> Config:
    """Return Alembic's configuration, wherever the package is installed."""
    from alembic.config import Config  # noqa: PLC0415 - slow to import, and rarely needed

    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return configuration
