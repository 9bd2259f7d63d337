"""Errors of reproductions.

NotFound  404  ReproductionNotFound
"""

from __future__ import annotations

from service.errors import NotFound


class ReproductionNotFound(NotFound):
    """No reproduction has this name."""

    code = "reproduction_not_found"
    title = "Reproduction not found"
