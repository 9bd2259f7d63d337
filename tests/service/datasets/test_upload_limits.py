"""Limits on uploads: media types, sizes, parameters, concurrency, memory, silence."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from service.datasets import upload_bodies as dataset_bodies
from service.datasets.service import Uploads
from service.errors import BadRequest
from service.http import body_stream
from service.settings import Settings
from tests.service.datasets.conftest import OCTETS, Memory, Upload, left_behind
from tests.service.datasets.upload_files import npz, parquet, wine

pytestmark = pytest.mark.slow
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain", None]
)
def test_body_without_a_file_media_type_is_refused(kind: str | None, client: TestClient) -> None:
    """A page of another origin can send forms and plain text without asking first."""
    answer = client.post("/v1/datasets", content=wine(), headers={"content-type": kind} if kind else {})
    assert (answer.status_code, "text/csv" in answer.json()["detail"]) == (415, True)


@pytest.mark.parametrize("streamed", [True, False])
def test_too_large_file_is_refused_while_it_arrives(streamed: bool, client: TestClient, small: Settings) -> None:
    pieces = (bytes(2**20) for _ in range(40))
    content: Any = pieces if streamed else b"".join(pieces)
    answer = client.post("/v1/datasets", content=content, headers=OCTETS)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert left_behind(small) == []


@pytest.mark.parametrize(
    "query",
    ["surprise=1", "format=pickle", "test_size=0", "test_size=nan", "test_size=x", "seed=-1", "order=up", "name="],
)
def test_invalid_query_is_refused_with_the_parameter(query: str, client: TestClient) -> None:
    answer = client.post(f"/v1/datasets?{query}", content=wine(), headers=OCTETS)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, query.partition("=")[0])


def test_too_many_concurrent_uploads_get_retry_after(client: TestClient, upload: Upload) -> None:
    uploads = client.app.state.services[Uploads]  # type: ignore[attr-defined]
    with uploads.receiving(), uploads.receiving():
        answer = upload(wine())
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
            429,
            "too_many_uploads",
            "2",
        )
    assert upload(wine()).status_code in (200, 201)


@pytest.mark.parametrize("form", ["npz", "csv", "parquet"])
def test_parsing_uses_memory_in_proportion_to_the_data(form: str, upload: Upload, memory: Memory) -> None:
    """No library reserves address space that it may never need, or honest files would be refused for it."""
    x, y = RANDOM.normal(size=(120_000, 20)), np.arange(120_000) % 5
    if form == "npz":
        content = npz(x=x, y=y)
    elif form == "parquet":
        content = parquet(**{f"c{i}": column for i, column in enumerate(x.T)}, y=y)
    else:
        rows = np.column_stack([x, y])
        text = io.StringIO()
        np.savetxt(text, rows, fmt="%.7g", delimiter=",", header=",".join(map(str, range(21))), comments="")
        content = text.getvalue().encode()
    assert 15 * 2**20 < len(content) < 2**25
    assert upload(content).status_code == 201
    (reply,) = memory()
    assert reply["after"]["VmPeak"] - reply["before"]["VmSize"] < 8 * len(content)


def test_stalled_or_interrupted_body_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_stream, "MAX_SILENCE_SECONDS", 0.05)

    async def receive(*messages: Any) -> None:
        left = [{"type": "http.request", "body": b"begun", "more_body": True}, *messages]

        async def more() -> Any:
            if not left:
                await asyncio.sleep(30)
            return left.pop(0)

        request = Request({"type": "http", "method": "POST", "headers": [(b"content-type", b"text/csv")]}, more)
        await dataset_bodies.save(request, tmp_path / str(len(messages)), 1000)

    with pytest.raises(BadRequest, match=r"stopped arriving for 0\.05 s"):
        asyncio.run(receive())
    with pytest.raises(BadRequest, match="incomplete"):
        asyncio.run(receive({"type": "http.disconnect"}))
