"""Trained models over HTTP: files, predictions and pictures of weights that are really on disk."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple
from xml.etree import ElementTree as ET

import httpx2
import numpy as np
import onnxruntime
import psutil
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from safetensors.numpy import save

from service.app import create_app
from service.errors import RangeRefused
from service.http import bodies
from service.http.bodies import parse
from service.http.downloads import range_of
from service.models.inputs import LARGEST, MOST_ERRORS
from service.models.service import Models
from service.models.weights import Kept, KeptModels
from service.settings import Settings
from service.store.database import open_engine
from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured
from tests.conftest import spec as spec_of
from tests.patience import scaled
from tests.worker.spec.test_graph import by_engine, trained, weights_of
from worker.ports import Claim, Outcome, WeightsFile
from worker.spec.datasets.digits import Digits

At = Literal["best", "last"]
DIGITS = Digits.load(Path("/nowhere"))
ROW = [0] * 64


class Service(NamedTuple):
    """An application, its worker's side, and where its files are."""

    client: TestClient
    work: Jobs
    settings: Settings

    @property
    def pid(self) -> int:
        """Of the limited process."""
        found: int = self.client.app.state.services[Models].process_id  # type: ignore[attr-defined]
        return found

    def write(self, claim: Claim, at: At, epoch: int, content: bytes) -> WeightsFile:
        name = f"{claim.run_id}/{secrets.token_hex(4)}.safetensors"
        path = self.settings.checkpoints / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        return WeightsFile(at=at, epoch=epoch, path=name, sha256=sha256, bytes=len(content))

    def begin(self, **changes: Any) -> Claim:
        """A run that is being trained, of which one epoch is recorded."""
        answer = self.client.post("/v1/runs?reuse=false", json=body(**changes))
        assert answer.status_code == 201, answer.text
        (claim,) = self.work.claim(WORKER, limit=1)
        self.work.started([claim], device="cpu", determinism_class="cpu/test")
        self.record(claim, 1)
        return claim

    def record(self, claim: Claim, epoch: int) -> None:
        losses: dict[str, Any] = {"train_loss": 1 / epoch, "train_loss_eval": 0.9 / epoch}
        losses["val_loss"] = 1 + (epoch - 2) ** 2 / 9
        self.work.record([claim], [measured(claim.run_id, epoch, **losses)])

    def keep(self, claim: Claim, *ats: At, content: bytes | None = None, epoch: int = 2) -> bytes:
        content = content or weights(**claim.spec)
        files = tuple(self.write(claim, at, epoch, content) for at in ats)
        self.work.checkpointed([claim], {}, {claim.run_id: files})
        return content

    def finished(self, **changes: Any) -> str:
        """A run that ended and left its weights."""
        claim = self.begin(**changes)
        for epoch in (2, 3):
            self.record(claim, epoch)
        self.keep(claim, "best", "last")
        self.work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", code="finished")])
        return claim.run_id

    def predict(self, run_id: str, sent: Any, **params: str) -> httpx2.Response:
        return self.client.post(f"/v1/runs/{run_id}/predict", json=sent, params=params)


def weights(**spec: Any) -> bytes:
    """The file that a worker would write of this spec's model."""
    return save(weights_of(trained(spec_of(**spec))))


def serving(settings: Settings) -> Iterator[Service]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        engine = open_engine(settings)
        yield Service(client, Jobs(engine, settings), settings)
        engine.dispose()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from serving(Settings(data_dir=tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def run_id(service: Service) -> str:
    """A run that nobody changes."""
    return service.finished(name="a model")


def test_predictions_are_those_of_the_engine_for_rows_sent_and_for_rows_named(service: Service, run_id: str) -> None:
    wanted = np.exp(by_engine(trained(spec_of()), 20))
    named = service.predict(run_id, {"split": "test", "indices": list(range(20))}).json()
    flat = service.predict(run_id, {"inputs": DIGITS.test_x[:20].reshape(20, -1).tolist()}).json()
    nested = service.predict(run_id, {"inputs": DIGITS.test_x[:20].tolist()}).json()
    for found in (named, flat, nested):
        np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-5)
        assert found["labels"] == wanted.argmax(1).tolist()
        assert found["names"] == [str(label) for label in found["labels"]]
        assert (found["run_id"], found["at"], found["epoch"]) == (run_id, "best", 2)
        assert found["class_names"] == list("0123456789")
    assert named["true_labels"] == DIGITS.test_y[:20].tolist()
    assert (named["split"], named["indices"]) == ("test", list(range(20)))
    assert (flat["split"], flat["indices"], flat["true_labels"]) == (None, None, None)


def test_bodies_are_unpacked_one_at_a_time_since_that_takes_fifty_times_their_size(
    service: Service, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, met = threading.Barrier(2, timeout=0.3), list[bool]()

    def parsed(*given: Any) -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait()
            met.append(True)
        return parse(*given)

    monkeypatch.setattr(bodies, "parse", parsed)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asking = [pool.submit(service.predict, run_id, {"inputs": [ROW]}) for _ in range(3)]
        assert [one.result(scaled(30)).status_code for one in asking] == [200] * 3
    assert met == []


def test_a_reused_run_predicts_with_the_weights_of_the_run_it_took_over(service: Service, run_id: str) -> None:
    reused = service.client.post("/v1/runs", json=body()).json()
    assert reused["reused_from"] == run_id
    ours, theirs = (service.predict(one, {"inputs": [ROW]}).json() for one in (reused["id"], run_id))
    assert (ours.pop("run_id"), theirs.pop("run_id")) == (reused["id"], run_id)
    assert ours == theirs


def test_a_run_that_trains_predicts_with_its_best_weights_so_far(service: Service) -> None:
    claim = service.begin(seed=50)
    early = service.predict(claim.run_id, {"inputs": [ROW]})
    assert (early.status_code, early.json()["code"]) == (404, "not_measured")
    assert "as soon as they are first saved" in early.json()["detail"]
    service.keep(claim, "best", epoch=1)
    assert service.predict(claim.run_id, {"inputs": [ROW]}).json()["epoch"] == 1
    late = service.predict(claim.run_id, {"inputs": [ROW]}, at="last")
    assert (late.status_code, "at=best works already" in late.json()["detail"]) == (404, True)
    service.work.release([claim], barren=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")


def test_best_and_last_are_different_models(service: Service) -> None:
    claim = service.begin(seed=51)
    service.keep(claim, "best", epoch=1)
    spec = spec_of(seed=52)
    other = service.keep(claim, "last", content=weights(seed=52), epoch=9)
    best, last = (service.predict(claim.run_id, {"inputs": [ROW]}, at=at).json() for at in ("best", "last"))
    assert best["probabilities"] != last["probabilities"]
    assert (last["epoch"], spec.seed) == (9, 52)
    assert service.client.get(f"/v1/runs/{claim.run_id}/model.safetensors?at=last").content == other
    service.work.release([claim], barren=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")


SQUARE = [[0] * 8] * 8
WRONG: list[tuple[Any, str]] = [
    ([ROW, ROW[1:]], "/inputs/1"),
    ([ROW, "x"], "/inputs/1"),
    ([None], "/inputs/0"),
    ([7], "/inputs/0"),
    ([{}], "/inputs/0"),
    ([[]], "/inputs/0"),
    ([ROW, ROW, [*ROW[1:], "a"]], "/inputs/2/63"),
    ([[True, *ROW[1:]]], "/inputs/0/0"),
    ([[0, None, *ROW[2:]]], "/inputs/0/1"),
    ([[0, 1e39, *ROW[2:]]], "/inputs/0/1"),
    ([[0, -(10**400), *ROW[2:]]], "/inputs/0/1"),
    ([SQUARE[1:]], "/inputs/0"),
    ([[*SQUARE[1:], [0] * 7]], "/inputs/0/7"),
    ([[*SQUARE[1:], 7]], "/inputs/0/7"),
    ([[*SQUARE[1:], [0] * 7 + ["1"]]], "/inputs/0/7/7"),
    ([[*SQUARE[1:], [0] * 7 + [[0]]]], "/inputs/0/7/7"),
    ([], "/inputs"),
    ([[0]] * 10_001, "/inputs"),
]


@pytest.mark.parametrize(("inputs", "pointer"), [pytest.param(*one, id=f"{i}{one[1]}") for i, one in enumerate(WRONG)])
def test_what_is_no_row_is_named_by_its_pointer(service: Service, run_id: str, inputs: Any, pointer: str) -> None:
    answer = service.predict(run_id, {"inputs": inputs})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1e39", "9" * 400])
def test_numbers_that_are_none_are_refused(service: Service, run_id: str, number: str) -> None:
    text = json.dumps({"inputs": [[*ROW[1:], 0]]}).replace("0]]", f"{number}]]")
    answer = service.client.post(
        f"/v1/runs/{run_id}/predict", content=text, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/inputs/0/63")


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"split": "test", "indices": [0, 355]}, "/indices/1"),
        ({"split": "test", "indices": [0, -1]}, "/indices/1"),
        ({"split": "test", "indices": [0, 1.5]}, "/indices/1"),
        ({"split": "test", "indices": [2**70]}, "/indices/0"),
        ({"split": "test", "indices": []}, "/indices"),
        ({"split": "test", "indices": [0] * 10_001}, "/indices"),
        ({"split": "everything", "indices": [0]}, "/split"),
        ({"split": "val", "indices": [0, 60]}, "/indices/1"),
        ({"split": "train", "indices": [100]}, "/indices/0"),
        ({"split": "test"}, ""),
        ({"indices": [0]}, ""),
        ({"inputs": [ROW], "split": "test", "indices": [0]}, ""),
        ({}, ""),
        ({"inputs": [ROW], "at": "last"}, "/at"),
        ([], ""),
    ],
)
def test_a_choice_of_rows_that_makes_no_sense_is_refused(
    service: Service, run_id: str, sent: Any, pointer: str
) -> None:
    answer = service.predict(run_id, sent)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_many_wrong_rows_are_not_all_told(service: Service, run_id: str) -> None:
    answer = service.predict(run_id, {"inputs": ["x"] * 5000})
    assert len(answer.json()["errors"]) == MOST_ERRORS


def test_bodies_that_are_deep_or_large_or_no_json_are_refused(service: Service, run_id: str) -> None:
    def status(content: bytes) -> int:
        headers = {"content-type": "application/json"}
        return service.client.post(f"/v1/runs/{run_id}/predict", content=content, headers=headers).status_code

    assert status(b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}") == 400
    assert status(b'{"inputs":' + b"[" * 150 + b"]" * 150 + b"}") == 422
    assert status(b'{"inputs":[') == 400
    assert status(b" " * (service.settings.max_predict_body_bytes + 1)) == 413
    assert status(b'{"inputs":[[' + b"9" * 100_000 + b"]]}") in (400, 422)
    assert service.predict(run_id, {"inputs": [ROW]}).status_code == 200


def test_what_a_model_cannot_tell_is_null(service: Service) -> None:
    claim = service.begin(seed=53)
    values = weights_of(trained(spec_of(seed=53)))
    service.keep(claim, "best", content=save({name: value * np.float32("inf") for name, value in values.items()}))
    found = service.predict(claim.run_id, {"inputs": [ROW, [1] * 64]}).json()
    assert found["labels"] == [None, None]
    assert found["names"] == [None, None]
    assert None in found["probabilities"][0]
    huge = service.predict(service.finished(seed=54), {"inputs": [[LARGEST] * 64]}).json()
    assert len(huge["probabilities"][0]) == 10
    service.work.release([claim], barren=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx"])
def test_a_download_is_named_by_its_digest_and_comes_in_parts(service: Service, run_id: str, name: str) -> None:
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
def test_conditions_on_a_download_hold(service: Service, run_id: str, headers: dict[str, str], status: int) -> None:
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
    ("asked", "part"),
    [
        ("", None), ("bytes=0-0", (0, 1)), ("bytes=5-", (5, 10)), ("bytes=-3", (7, 10)), ("bytes=-99", (0, 10)),
        ("bytes=0-99", (0, 10)), ("Bytes = 1 - 2", (1, 3)), ("bytes=5-2", None), ("bytes=-", None), ("lines=1-2", None),
        ("bytes=0-1,4-5", None), ("bytes=a-b", None), ("bytes=1-2x", None), (f"bytes=0-{'9' * 50}", (0, 10)),
    ],
)  # fmt: skip
def test_a_range_is_what_the_rfc_says_and_else_ignored(asked: str, part: tuple[int, int] | None) -> None:
    assert range_of(asked, 10) == part
    for outside in ("bytes=10-", "bytes=10-11", f"bytes={'9' * 5000}-", "bytes=-0"):
        with pytest.raises(RangeRefused):
            range_of(outside, 10)


def test_the_onnx_file_is_the_model_and_says_whose_it_is(service: Service, run_id: str) -> None:
    content = service.client.get(f"/v1/runs/{run_id}/model.onnx").content
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"input": DIGITS.test_x[:9].astype(np.float32)})
    told = service.predict(run_id, {"split": "test", "indices": list(range(9))}).json()
    np.testing.assert_allclose(found, told["probabilities"], rtol=1e-5, atol=1e-7)
    about = session.get_modelmeta().custom_metadata_map
    run = service.client.get(f"/v1/runs/{run_id}").json()
    assert (about["run_id"], about["spec_hash"], about["epoch"]) == (run_id, run["spec_hash"], "2")
    assert json.loads(about["spec"]) == run["spec"]
    assert json.loads(about["classes"]) == list("0123456789")


def test_an_onnx_file_is_made_again_when_it_was_removed_or_altered(service: Service, run_id: str) -> None:
    url = f"/v1/runs/{run_id}/model.onnx"
    content = service.client.get(url).content
    for spoil in (Path.unlink, lambda path: path.write_bytes(b"not this"), lambda path: os.truncate(path, 9)):
        (path,) = [one for one in (service.settings.cache / "onnx").iterdir() if one.read_bytes() == content]
        spoil(path)
        assert service.client.get(url).content == content


@pytest.mark.slow
def test_models_kept_as_onnx_take_no_more_room_than_they_may(tmp_path: Path) -> None:
    for service in serving(Settings(data_dir=tmp_path, max_cache_bytes=20_000)):
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
def test_a_file_that_is_not_what_was_written_is_never_sent(service: Service, how: str) -> None:
    run_id = service.finished(seed=60 + len(how))
    url = f"/v1/runs/{run_id}"
    shown = service.client.get(f"{url}/checkpoints").json()["weights"]
    assert service.client.get(f"{url}/model.safetensors").status_code == 200
    for one in shown:
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


@pytest.mark.slow
def test_weights_that_are_replaced_all_the_time_are_always_whole(service: Service) -> None:
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
    service.work.release([claim], barren=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")


def test_weights_that_never_stay_are_not_told_to_be_lost(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = service.begin(seed=71)
    service.keep(claim, "best")
    find, gone = KeptModels.find, itertools.count()

    def elsewhere(self: KeptModels, run_id: str, at: At) -> Kept:
        kept = find(self, run_id, at)
        return dataclasses.replace(kept, file=dataclasses.replace(kept.file, path=f"gone_{next(gone)}"))

    monkeypatch.setattr(KeptModels, "find", elsewhere)
    monkeypatch.setattr("service.models.weights.REPLACED_SECONDS", 0.0)
    monkeypatch.setattr("service.models.service.REPLACED_SECONDS", 0.0)
    for answer in (
        service.client.get(f"/v1/runs/{claim.run_id}/model.safetensors"),
        service.predict(claim.run_id, {"inputs": [ROW]}),
    ):
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "1")
    service.work.release([claim], barren=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx", "predictions.png", "curve.png"])
def test_what_is_not_there_is_not_found(service: Service, name: str) -> None:
    assert service.client.get(f"/v1/runs/run_nope/{name}").json()["code"] == "run_not_found"
    queued = service.client.post("/v1/runs?reuse=false", json=body(seed=80)).json()["id"]
    answer = service.client.get(f"/v1/runs/{queued}/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_measured")
    service.client.post(f"/v1/runs/{queued}/cancel")


@pytest.mark.parametrize("at", ["../../etc/passwd", "start", "BEST", "", "best\0"])
@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx", "predictions.png"])
def test_a_model_is_the_best_or_the_last_and_nothing_else(service: Service, run_id: str, name: str, at: str) -> None:
    answer = service.client.get(f"/v1/runs/{run_id}/{name}", params={"at": at})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "at")


def test_a_killed_process_costs_one_answer_and_not_the_next(service: Service, run_id: str) -> None:
    assert service.predict(run_id, {"inputs": [ROW]}).status_code == 200
    pid = service.pid
    os.kill(pid, signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asking = pool.submit(service.predict, run_id, {"inputs": [ROW]})
        while not asking.running():
            pass
        os.kill(pid, signal.SIGKILL)
        answer = asking.result(scaled(30))
    assert answer.status_code in (200, 503), "it was killed before or after it was asked"
    if answer.status_code == 503:
        assert answer.headers["retry-after"]
        assert "SIGKILL" in answer.json()["detail"]
    assert service.predict(run_id, {"inputs": [ROW]}).status_code == 200
    assert service.pid != pid


@pytest.mark.slow
def test_a_process_that_hangs_is_a_504_and_the_next_request_is_answered(tmp_path: Path) -> None:
    for service in serving(Settings(data_dir=tmp_path, predict_seconds=3)):
        run_id = service.finished()
        assert service.predict(run_id, {"inputs": [ROW]}).status_code == 200
        os.kill(service.pid, signal.SIGSTOP)
        answer = service.predict(run_id, {"inputs": [ROW]})
        assert (answer.status_code, answer.json()["code"]) == (504, "took_too_long")
        assert service.client.get("/healthz").status_code == 200
        assert service.predict(run_id, {"inputs": [ROW]}).status_code == 200
        pid = service.pid
    assert not psutil.pid_exists(pid), "it ends with the service"


@pytest.mark.slow
def test_data_that_are_not_on_this_machine_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker.spec.datasets.kmnist import KMNIST

    monkeypatch.setattr(KMNIST, "missing", lambda *_: None)  # they were there when the run was submitted
    for service in serving(Settings(data_dir=tmp_path)):
        run_id = service.finished(dataset={"kind": "kmnist", "train_size": 50}, model={"kind": "linear"})
        answer = service.predict(run_id, {"split": "test", "indices": [0]})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "dataset_missing")
        assert "fitwell data fetch kmnist" in answer.json()["detail"]
        assert service.predict(run_id, {"inputs": [[0] * 784]}).status_code == 200


@pytest.mark.slow
def test_a_curve_is_drawn_once_and_again_when_something_is_new(service: Service) -> None:
    claim = service.begin(name="<i>$x$</i>", seed=90)
    url = f"/v1/runs/{claim.run_id}/curve.svg"
    first = service.client.get(url)
    assert first.headers["content-type"] == "image/svg+xml"
    policy = first.headers["content-security-policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert first.headers["x-content-type-options"] == "nosniff"
    said = ["".join(text.itertext()) for text in ET.fromstring(first.content).iter("{http://www.w3.org/2000/svg}text")]
    assert {"<i>$x$</i>", "train.loss", "train.loss_eval", "val.loss"} <= set(said)
    known = {"if-none-match": first.headers["etag"]}
    assert service.client.get(url, headers=known).status_code == 304
    assert service.client.get(url + "?theme=dark", headers=known).status_code == 200
    service.record(claim, 2)
    assert service.client.get(url, headers=known).status_code == 200
    service.work.release([claim], barren=False)
    service.client.post(f"/v1/runs/{claim.run_id}/cancel")


def test_pictures_have_the_size_and_kind_that_was_asked_for(service: Service, run_id: str) -> None:
    answer = service.client.get(
        f"/v1/runs/{run_id}/curve.png?width=700&height=300&log=true&metrics=val.loss,train.loss"
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert Image.open(BytesIO(answer.content)).size == (700, 300)
    tall = service.client.get(f"/v1/runs/{run_id}/predictions.png?count=11&first=3")
    assert Image.open(BytesIO(tall.content)).format == "PNG"
    known = {"if-none-match": tall.headers["etag"]}
    assert service.client.get(f"/v1/runs/{run_id}/predictions.png?count=11&first=3", headers=known).status_code == 304
    few = service.client.get(f"/v1/runs/{run_id}/predictions.png?first=354")
    assert few.status_code == 200, "one row is left"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("curve.png?metrics=nope", "metrics"),
        ("curve.png?metrics=", "metrics"),
        ("curve.png?width=100000", "width"),
        ("curve.svg?height=1", "height"),
        ("curve.svg?theme=pink", "theme"),
        ("curve.svg?surprise=1", "surprise"),
        ("predictions.png?count=0", "count"),
        ("predictions.png?count=1000000", "count"),
        ("predictions.png?first=355", "first"),
        ("predictions.png?split=everything", "split"),
        ("predictions.png?split=val&first=60", "first"),
    ],
)
def test_pictures_that_make_no_sense_are_refused(service: Service, run_id: str, query: str, pointer: str) -> None:
    answer = service.client.get(f"/v1/runs/{run_id}/{query}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.slow
def test_rows_that_are_no_images_are_not_drawn(service: Service) -> None:
    run_id = service.finished(dataset={"kind": "mnist1d", "train_size": 100}, model={"kind": "linear"})
    answer = service.client.get(f"/v1/runs/{run_id}/predictions.png")
    assert (answer.status_code, answer.json()["code"]) == (422, "unprocessable")
    assert "no image" in answer.json()["detail"]
    assert service.predict(run_id, {"split": "test", "indices": [0]}).status_code == 200
    assert math.isclose(
        sum(service.predict(run_id, {"inputs": [[0] * 40]}).json()["probabilities"][0]), 1, abs_tol=1e-5
    )
