"""Errors of the catalog.

NotFound  404  PresetNotFound
"""

from __future__ import annotations

from service.errors import NotFound


class PresetNotFound(NotFound):
    """No preset has this name."""

    code = "preset_not_found"
    title = "Preset not found"
