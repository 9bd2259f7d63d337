"""Downloads of models."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
import threading
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from service.errors import RangeRefused
from service.http.downloads import range_of
from service.models.weights import ModelWeights, StoredModels
from service.settings import Settings
from tests.service.models.serving import DIGITS, ROW, At, Service, serving, weights

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx", "model.py"])
def test_download_has_its_digest_as_etag_and_supports_ranges(service: Service, run_id: str, name: str) -> None:
    url = f"/v1/runs/{run_id}/{name}"
    whole = service.client.get(url)
    assert whole.status_code == 200
    tag, size = whole.headers["etag"], len(whole.content)
    assert tag == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    assert whole.headers["content-disposition"] == (
        f'attachment; filename="{run_id}-best-epoch000002.{name.partition(".")[2]}"'
    )
    head = service.client.head(url, headers={"range": "bytes=0-1"})
    assert (head.status_code, head.headers["content-length"], head.headers["etag"]) == (200, str(size), tag)
    assert head.content == b""
    pieces = [service.client.get(url, headers={"range": f"bytes={i}-{i + 999}"}) for i in range(0, size, 1000)]
    assert {piece.status_code for piece in pieces} == {206}
    assert b"".join(piece.content for piece in pieces) == whole.content
    assert pieces[-1].headers["content-range"] == f"bytes {size // 1000 * 1000}-{size - 1}/{size}"
    assert service.client.get(url, headers={"range": "bytes=-7"}).content == whole.content[-7:]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": "TAG"}, 304),
        ({"if-none-match": '"x", TAG'}, 304),
        ({"if-none-match": '"x"'}, 200),
        ({"if-none-match": "TAG", "range": "bytes=0-9"}, 304),
        ({"if-match": "TAG"}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": '"x"'}, 412),
        ({"if-match": "W/TAG"}, 412),
        ({"if-range": "TAG", "range": "bytes=0-9"}, 206),
        ({"if-range": '"x"', "range": "bytes=0-9"}, 200),
        ({"if-range": "W/TAG", "range": "bytes=0-9"}, 200),
        ({"if-range": "Wed, 01 Jan 2020 00:00:00 GMT", "range": "bytes=0-9"}, 200),
        ({"range": "bytes=99999999-"}, 416),
        ({"range": "bytes=-0"}, 416),
    ],
)
def test_conditional_downloads_follow_the_rfc(
    service: Service, run_id: str, headers: dict[str, str], status: int
) -> None:
    url = f"/v1/runs/{run_id}/model.safetensors"
    whole = service.client.get(url)
    named = {name: value.replace("TAG", whole.headers["etag"]) for name, value in headers.items()}
    answer = service.client.get(url, headers=named)
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(whole.content)}"
        assert answer.json()["code"] == "range_not_satisfiable"
    assert (answer.content == b"") == (status == 304)


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("", None), ("bytes=0-0", (0, 1)), ("bytes=5-", (5, 10)), ("bytes=-3", (7, 10)), ("bytes=-99", (0, 10)),
        ("bytes=0-99", (0, 10)), ("Bytes = 1 - 2", (1, 3)), ("bytes=5-2", None), ("bytes=-", None), ("lines=1-2", None),
        ("bytes=0-1,4-5", None), ("bytes=a-b", None), ("bytes=1-2x", None), (f"bytes=0-{'9' * 50}", (0, 10)),
    ],
)  # fmt: skip
def test_range_follows_the_rfc_or_is_ignored(header: str, part: tuple[int, int] | None) -> None:
    assert range_of(header, 10) == part
    for outside in ("bytes=10-", "bytes=10-11", f"bytes={'9' * 5000}-", "bytes=-0"):
        with pytest.raises(RangeRefused):
            range_of(outside, 10)


def test_onnx_file_is_the_model_and_has_its_metadata(service: Service, run_id: str) -> None:
    content = service.client.get(f"/v1/runs/{run_id}/model.onnx").content
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (result,) = session.run(["probabilities"], {"input": DIGITS.test_x[:9].astype(np.float32)})
    messages = service.predict(run_id, {"split": "test", "indices": list(range(9))}).json()
    np.testing.assert_allclose(result, messages["probabilities"], rtol=1e-5, atol=1e-7)
    about = session.get_modelmeta().custom_metadata_map
    run = service.client.get(f"/v1/runs/{run_id}").json()
    assert (about["run_id"], about["spec_hash"], about["epoch"]) == (run_id, run["spec_hash"], "2")
    assert json.loads(about["spec"]) == run["spec"]
    assert json.loads(about["classes"]) == list("0123456789")


def test_onnx_file_is_exported_again_after_it_was_removed_or_altered(service: Service, run_id: str) -> None:
    url = f"/v1/runs/{run_id}/model.onnx"
    content = service.client.get(url).content
    for spoil in (Path.unlink, lambda path: path.write_bytes(b"not this"), lambda path: os.truncate(path, 9)):
        (path,) = [one for one in (service.settings.cache / "onnx").iterdir() if one.read_bytes() == content]
        spoil(path)
        assert service.client.get(url).content == content


def test_cache_of_onnx_files_is_bounded(on_sqlite: Settings) -> None:
    for service in serving(on_sqlite.model_copy(update={"max_cache_bytes": 20_000})):
        urls = [f"/v1/runs/{service.finished(seed=seed)}/model.onnx" for seed in range(6)]
        first = [service.client.get(url).content for url in urls]
        assert sum(path.stat().st_size for path in (service.settings.cache / "onnx").iterdir()) <= 20_000
        assert [service.client.get(url).content for url in urls] == first


def spoiled(path: Path, how: str) -> None:
    if how == "removed":
        path.unlink()
    elif how == "truncated":
        os.truncate(path, path.stat().st_size - 1)
    else:
        times = path.stat()
        path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("how", ["removed", "truncated", "altered"])
def test_file_that_does_not_match_its_digest_is_never_sent(service: Service, how: str) -> None:
    run_id = service.finished(seed=60 + len(how))
    url = f"/v1/runs/{run_id}"
    view = service.client.get(f"{url}/checkpoints").json()["weights"]
    assert service.client.get(f"{url}/model.safetensors").status_code == 200
    for one in view:
        for path in (service.settings.checkpoints / run_id).iterdir():
            if hashlib.sha256(path.read_bytes()).hexdigest() == one["sha256"]:
                spoiled(path, how)
    for answer in (
        service.client.get(f"{url}/model.safetensors"),
        service.client.get(f"{url}/model.onnx"),
        service.client.get(f"{url}/predictions.png"),
        service.predict(run_id, {"inputs": [ROW]}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (410, "file_lost")
        assert run_id in answer.json()["detail"]
        assert "reuse=false" in answer.json()["detail"]


def test_downloads_are_complete_while_weights_are_replaced(service: Service) -> None:
    claim = service.begin(seed=70, epochs=500)
    contents = [weights(seed=seed) for seed in (70, 71)]
    service.keep(claim, "best", content=contents[0], epoch=1)
    over = threading.Event()

    def replace() -> None:
        for number in range(2, 10_000):
            if over.is_set():
                return
            new = service.write(claim, "best", number, contents[number % 2])
            for path in service.work.checkpointed([claim], {}, {claim.run_id: (new,)}):
                (service.settings.checkpoints / path).unlink()

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        for _ in range(60):
            answer = service.client.get(f"/v1/runs/{claim.run_id}/model.safetensors")
            assert answer.status_code == 200, answer.text
            assert answer.content in contents
            assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
            assert service.predict(claim.run_id, {"inputs": [ROW]}).status_code == 200
    finally:
        over.set()
        writer.join()
    service.work.release([claim], failed=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")


def test_weights_that_are_replaced_constantly_are_not_reported_as_lost(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = service.begin(seed=71)
    service.keep(claim, "best")
    find, missing = StoredModels.find, itertools.count()

    def elsewhere(self: StoredModels, run_id: str, at: At) -> ModelWeights:
        weights = find(self, run_id, at)
        return dataclasses.replace(weights, file=dataclasses.replace(weights.file, path=f"missing_{next(missing)}"))

    monkeypatch.setattr(StoredModels, "find", elsewhere)
    monkeypatch.setattr("service.models.weights.REPLACED_SECONDS", 0.0)
    monkeypatch.setattr("service.models.service.REPLACED_SECONDS", 0.0)
    for answer in (
        service.client.get(f"/v1/runs/{claim.run_id}/model.safetensors"),
        service.predict(claim.run_id, {"inputs": [ROW]}),
    ):
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "1")
    service.work.release([claim], failed=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")


def test_averaged_weights_are_downloaded_as_a_model_of_their_own(service: Service) -> None:
    claim = service.begin(seed=72, averaging={"kind": "ema"})
    path = f"/v1/runs/{claim.run_id}/model.safetensors?at=averaged"
    missing = service.client.get(path)
    assert missing.status_code == 404, missing.text
    assert "has no averaged weights: runs with averaging save them when they end" in missing.json()["detail"]
    content = service.keep(claim, "averaged")
    assert service.client.get(path).content == content
    inputs = {"inputs": [[0.0] * 64]}
    assert service.predict(claim.run_id, inputs, at="averaged").json()["at"] == "averaged"
    service.work.release([claim], failed=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")
