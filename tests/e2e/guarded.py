"""A server that requires tokens, as other programs use it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import fitwell

SPEC: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200},
    "model": {"kind": "mlp", "hidden": [16]},
    "regularizers": [{"kind": "dropout", "p": 0.2}],
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 5,
}


@dataclass(frozen=True)
class Guarded:
    """A server that requires tokens, with its first admin's."""

    client: fitwell.Client
    token: str

    @property
    def url(self) -> str:
        return self.client.transport.url

    def environment(self, token: str | None = None) -> dict[str, str]:
        """Return the variables of a program that uses this server, as the admin if ``token`` is None."""
        return {**os.environ, "FITWELL_URL": self.url, "FITWELL_TOKEN": token or self.token}
