"""The type of a row that a statement returns."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

Row = sa.Row[Any]
