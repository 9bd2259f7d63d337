"""A service that takes small uploads, and what it says of the memory that reading them took."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from safetensors.numpy import load_file

from service.app import create_app
from service.settings import Settings
from tests.conftest import MigratedHome

OCTETS = {"content-type": "application/octet-stream"}
MEMORY = 256 * 2**20
Upload = Callable[..., httpx2.Response]
Memory = Callable[[], list[dict[str, dict[str, int]]]]
Stored = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, migrated_home: MigratedHome) -> Settings:
    return Settings(
        data_dir=migrated_home(tmp_path_factory.mktemp("uploads")),
        max_upload_bytes=2**25,
        max_dataset_bytes=2**26,
        upload_memory_bytes=MEMORY,
        upload_seconds=30,
    )


@pytest.fixture(scope="module")
def client(small: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(small), raise_server_exceptions=False) as connected:
        yield connected


@pytest.fixture
def upload(client: TestClient) -> Upload:
    """Send a file; the answer."""

    def send(content: bytes, **params: Any) -> httpx2.Response:
        return client.post("/v1/datasets", params=params, content=content, headers=OCTETS)

    return send


@pytest.fixture
def memory(caplog: pytest.LogCaptureFixture) -> Iterator[Memory]:
    """Memory reports of the parsers in this test, from the kernel's counters."""
    with caplog.at_level(logging.INFO, "fitwell.uploads"):
        yield lambda: [record.args[1] for record in caplog.records if "parsed an upload" in record.msg]  # type: ignore[index,misc]


def left_behind(settings: Settings) -> list[Path]:
    """Files that uploads left in the receiving directory."""
    return list((settings.datasets / "uploads" / "incoming").rglob("*"))


def files_of(settings: Settings) -> list[Path]:
    return sorted((settings.datasets / "uploads").glob("*.safetensors"))


def stored(settings: Settings, dataset: dict[str, Any]) -> Stored:
    """Return the file that a worker reads."""
    digest = dataset["sha256"].removeprefix("sha256:")
    return load_file(settings.datasets / "uploads" / f"{digest}.safetensors")
