"""Errors of trained models.

Gone  410  FileLost
"""

from __future__ import annotations

from service.errors import Gone


class FileLost(Gone):
    """A recorded file is missing or does not match its digest."""

    code = "file_lost"
    title = "File lost"
