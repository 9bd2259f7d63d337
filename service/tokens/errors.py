"""Errors of tokens.

NotFound  404  TokenNotFound
"""

from __future__ import annotations

from service.errors import NotFound


class TokenNotFound(NotFound):
    """No token has this id, or it belongs to another owner."""

    code = "token_not_found"
    title = "Token not found"
