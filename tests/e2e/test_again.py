"""Runs made of runs, with real training: the laws hold for extensions, verifications and warm starts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from safetensors.numpy import load_file

from tests.e2e.test_live_updates import LONG
from tests.e2e.test_serve import SPEC, fitwell_command
from tests.patience import eventually, scaled
from tests.processes import Serving, serving

pytestmark = pytest.mark.slow
MOMENTUM: dict[str, Any] = {
    **SPEC,
    "optimizer": {"kind": "momentum", "lr": 0.05},
    "regularizers": [{"kind": "dropout"}],
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("again") / "home") as one:
        yield one


def call(served: Serving, method: str, path: str, **options: Any) -> Any:
    answer = httpx2.request(method, f"{served.client.transport.url}/v1/runs/{path}", timeout=scaled(30), **options)
    assert answer.status_code < 300, answer.text
    return answer.json()


def files(served: Serving, run_id: str) -> dict[str, Path]:
    """Return the files of weights by role, matched by their digests."""
    by_digest = {
        hashlib.sha256(path.read_bytes()).hexdigest(): path
        for path in (served.home / "checkpoints").rglob("*.safetensors")
    }
    return {one["at"]: by_digest[one["sha256"]] for one in call(served, "GET", f"{run_id}/checkpoints")["weights"]}


def test_extended_run_equals_a_run_of_that_length_to_the_bit(served: Serving) -> None:
    short = served.client.runs.create(seed=3, **MOMENTUM).wait(scaled(60))
    longer = short.extend(15).wait(scaled(60))
    assert longer.extends == short.id
    whole = served.client.runs.create(seed=3, reuse=False, **{**MOMENTUM, "epochs": 15}).wait(scaled(60))
    extended, straight = (run.model_dump()["determinism"]["digest"] for run in (longer, whole))
    assert extended == straight
    assert longer.history["val.loss"][:8] == short.history["val.loss"]
    for at in ("best", "last"):
        assert files(served, longer.id)[at].read_bytes() == files(served, whole.id)[at].read_bytes()


def test_run_is_verified_bit_for_bit(served: Serving) -> None:
    run = served.client.runs.create(seed=4, **MOMENTUM).wait(scaled(60))
    verification = run.verify(scaled(60))
    assert (verification.outcome, verification.first_difference, verification.reason) == ("match", None, None)
    assert served.client.runs.get(verification.by).verifies == run.id
    done = fitwell_command("verify", run.id, "--url", served.client.transport.url)
    assert (done.returncode, done.stdout.startswith("match: ")) == (0, True)


def test_stored_weights_are_of_the_best_and_the_last_epoch(served: Serving) -> None:
    wild = {**SPEC, "optimizer": {"kind": "sgd", "lr": 2.0}, "epochs": 12}
    run = served.client.runs.create(seed=1, **wild).wait(scaled(60))
    assert run.best is not None
    best = run.best["epoch"]
    assert best < 12, "a learning rate at which the last epoch is not the best"
    until = served.client.runs.create(seed=1, **{**wild, "epochs": best}).wait(scaled(60))
    ours, theirs = (load_file(files(served, one.id)[at]) for one, at in ((run, "best"), (until, "last")))
    assert ours.keys() == {"layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"}
    for name, values in ours.items():
        assert values.tobytes() == theirs[name].tobytes()
    assert files(served, run.id)["best"] != files(served, run.id)["last"]


def test_warm_start_begins_where_the_other_run_ended(served: Serving) -> None:
    first = served.client.runs.create(seed=5, **SPEC).wait(scaled(60))
    warm = {**SPEC, "epochs": 3, "evaluate": {"before_training": True}, "warm_start": {"run_id": first.id}}
    run = served.client.runs.create(seed=6, **warm).wait(scaled(60))
    epoch_0 = call(served, "GET", f"{run.id}/history?since_epoch=-1")
    assert epoch_0["epoch"][0] == 0
    assert epoch_0["series"]["test.loss"][0] == first.history["test.loss"][-1]
    again = served.client.runs.create(seed=6, reuse=False, **warm).wait(scaled(60))
    digests = {one.model_dump()["determinism"]["digest"] for one in (run, again)}
    assert len(digests) == 1
    cold = served.client.runs.create(seed=6, **{**warm, "warm_start": None}).wait(scaled(60))
    assert cold.model_dump()["determinism"]["digest"] not in digests


def test_run_ends_at_its_time_limit_and_resumes_with_a_higher_one(served: Serving) -> None:
    run = served.client.runs.create(seed=7, max_seconds=600, **LONG)
    eventually(lambda: run.refresh().progress.epoch > 0)  # the clock also runs while the training process starts
    call(served, "PATCH", run.id, json={"max_seconds": 1.5})
    ended = eventually(lambda: run.refresh() if run.refresh().terminal else None, 20)
    assert (ended.status, ended.error["code"]) == ("failed", "time_limit")
    reached = ended.progress.epoch
    assert reached > 0
    stored = {one["at"] for one in call(served, "GET", f"{run.id}/checkpoints")["weights"]}
    assert stored == {"best", "last"}
    call(served, "PATCH", run.id, json={"max_seconds": 600})
    call(served, "POST", f"{run.id}/retry")
    eventually(lambda: run.refresh().progress.epoch > reached + 5)
    run.cancel()
    eventually(lambda: run.refresh().terminal, 12)
    lines = [line.text for line in run.log()]
    assert any(f"resumes from its checkpoint of epoch {reached}" in line for line in lines), lines
    logs = fitwell_command("logs", run.id, "--url", served.client.transport.url)
    assert all(line in logs.stdout for line in lines)


def test_log_of_a_failed_run_has_the_reason(served: Serving) -> None:
    run = served.client.runs.create(seed=8, **LONG)
    eventually(lambda: run.refresh().progress.epoch > 3)
    call(served, "POST", f"{run.id}/pause")
    eventually(lambda: run.refresh().status == "paused", 12)
    for path in (served.home / "checkpoints" / run.id).glob("*.safetensors"):
        path.write_bytes(b"not tensors")
    call(served, "POST", f"{run.id}/resume")
    eventually(lambda: run.refresh().status == "running" and run.refresh().progress.epoch > 3)
    run.cancel()
    eventually(lambda: run.refresh().terminal, 12)
    lines = call(served, "GET", f"{run.id}/logs")["data"]
    assert [line for line in lines if line["level"] == "warning" and "what came before it is used" in line["text"]]
