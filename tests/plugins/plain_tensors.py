"""Tests compare plain tensors. Looking for distributed ones would import the modules for them, which takes a second."""

from __future__ import annotations

import sys
from typing import Any


def pytest_collection_finish() -> None:
    """Skip the search if torch is imported at all."""
    comparison: Any = sys.modules.get("torch.testing._comparison")
    if hasattr(comparison, "_HAS_DTENSOR"):
        comparison._HAS_DTENSOR = False
