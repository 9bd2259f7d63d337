"""``fitwell serve`` and the other commands that start processes: start, stop, restart, and what they load."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import fitwell
from tests import warm
from tests.patience import eventually, scaled
from tests.processes import UNBROKEN_LEASE, Serving, free_port, serving, serving_anew

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[2]


SPEC: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200},
    "model": {"kind": "mlp", "hidden": [32]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 8,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving_anew(tmp_path_factory.mktemp("serve") / "home") as one:
        yield one


def test_api_never_loads_torch(served: Serving) -> None:
    service = served.part("service")
    assert service is not None
    assert not any("libtorch" in mapped.path for mapped in service.memory_maps())
    trainer = eventually(lambda: served.part("trainer"))
    eventually(lambda: any("libtorch" in mapped.path for mapped in trainer.memory_maps()))


def fitwell_command(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return warm.fitwell(*arguments, timeout=scaled(120), env=env)


def test_command_line_submits_waits_lists_shows_and_cancels(served: Serving, tmp_path: Path) -> None:
    url = ("--url", served.client.transport.url)
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(SPEC))
    result = fitwell_command("submit", str(file), "--set", "seed=41", "--label", "via=cli", "--wait", "--json", *url)
    assert result.returncode == 0, result.stderr
    run = json.loads(result.stdout)
    assert run["status"] == "succeeded"
    listed = json.loads(fitwell_command("ls", "--label", "via=cli", "--json", *url).stdout)
    assert [one["id"] for one in listed] == [run["id"]]
    assert json.loads(fitwell_command("show", run["id"], "--json", *url).stdout)["last"] == run["last"]
    assert fitwell_command("history", run["id"], *url).stdout.startswith("epoch,steps,train.loss")
    events = [json.loads(line) for line in fitwell_command("watch", run["id"], "--json", *url).stdout.splitlines()]
    assert events[-1]["type"] == "run.succeeded"
    refused = fitwell_command("cancel", run["id"], *url)
    assert (refused.returncode, "Cannot cancel" in refused.stderr, "Traceback" in refused.stderr) == (3, True, False)
    wrong = fitwell_command("submit", str(file), "--set", "optimizer.lr=-1", *url)
    assert (wrong.returncode, "/optimizer/lr" in wrong.stderr) == (3, True)


def test_used_port_and_unwritable_directory_are_reported_without_a_traceback(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        result = fitwell_command("serve", "--data-dir", str(tmp_path / "a"), "--port", port)
    assert (result.returncode, f"127.0.0.1:{port}" in result.stderr, "Traceback" in result.stderr) == (5, True, False)
    (tmp_path / "file").write_text("")
    result = fitwell_command("serve", "--data-dir", str(tmp_path / "file" / "x"), "--port", str(free_port()))
    assert (result.returncode, "not writable" in result.stderr, "Traceback" in result.stderr) == (5, True, False)


def test_port_of_0_is_a_free_one(tmp_path: Path) -> None:
    line = ["serve", "--data-dir", str(tmp_path), "--port", "0", "--workers", "0"]
    command = [sys.executable, "-P", "-m", "fitwell.cli", *line]
    with warm.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            ready = next(text for text in process.stdout if b"running at" in text).decode()
            with fitwell.Client(re.findall(r"http://\S+", ready)[0]) as client:
                assert list(client.runs.list()) == []
        finally:
            process.terminate()


def test_sigterm_saves_the_run_and_the_next_start_resumes_it(tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    with serving_anew(home, port, FITWELL_LEASE_SECONDS=UNBROKEN_LEASE) as first:
        run = first.client.runs.create(seed=51, **{**SPEC, "epochs": 300})
        eventually(lambda: run.refresh().progress.epoch > 20)
        processes = psutil.Process(first.process.pid).children(recursive=True)
        assert first.stop() == 0
        assert not [p for p in processes if p.is_running()]
    with serving(home, port, FITWELL_LEASE_SECONDS=UNBROKEN_LEASE) as second:
        again = second.client.runs.get(run.id)
        assert again.progress.epoch > 20
        result = again.wait(scaled(60))
        assert result.status == "succeeded"
        assert result.model_dump()["determinism"]["resumes"] == 1
        assert result.history.revision == 0


SIGN_PENALTY = '''"""Sign penalty, for a test: shrink every weight by a constant.

    J = loss + λ·Σ|W|, by subgradient

Reference: none, it is a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from worker.spec.families.regularizer import Regularizer
from worker.spec.part import PerRun, Stacked

if TYPE_CHECKING:
    from torch import Tensor


class SignPenalty(Regularizer):
    """Add the sign of every weight to its gradient."""

    equation: ClassVar[str] = "J = loss + λ·Σ|W|"
    reference: ClassVar[str] = "none"
    neutral: ClassVar[dict[str, float]] = {"strength": 0.0}

    kind: Literal["sign_penalty"] = "sign_penalty"
    strength: PerRun[float] = Field(ge=0, description="λ")

    @staticmethod
    def penalty(part: Stacked[SignPenalty], w: Tensor) -> Tensor:
        return part.column("strength", 3) * w.abs()

    @staticmethod
    def grad(part: Stacked[SignPenalty], w: Tensor, g: Tensor) -> None:
        g.addcmul_(w.sign(), part.column("strength", 3))
'''


def test_regularizer_added_as_one_file_is_in_the_catalog_and_openapi_and_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("service", "worker", "migrations", "fitwell"):
        shutil.copytree(ROOT / package, tmp_path / "tree" / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tree/worker/spec/regularizers/sign_penalty.py").write_text(SIGN_PENALTY)
    with serving_anew(tmp_path / "home", PYTHONPATH=str(tmp_path / "tree")) as served:
        catalog = served.client.catalog()
        assert "sign_penalty" in [part["kind"] for part in catalog["regularizers"]]
        document = served.client.transport.request("GET", "/openapi.json").json()
        assert "SignPenalty" in document["components"]["schemas"]
        run = served.client.runs.create(regularizers=[{"kind": "sign_penalty", "strength": 0.01}], **SPEC).wait(
            scaled(60)
        )
        assert (run.last["penalty.sign_penalty"] or 0) > 0


def test_demo_prints_a_table_of_three_arms_over_eight_seeds(tmp_path: Path) -> None:
    result = fitwell_command("demo", "--data-dir", str(tmp_path / "demo"))
    assert result.returncode == 0, result.stderr
    for arm in ("plain", "dropout", "dropout + l2"):
        assert any(arm in line and "│ 8 │" in line for line in result.stdout.splitlines())
    assert "dropout + l2 better than plain; dropout undecided" in result.stdout
    assert "plain, seed 0: overfits." in result.stdout
    assert "Fitwell is running at http://127.0.0.1:" in result.stdout


def test_examples_of_the_documentation_run_unchanged(served: Serving) -> None:
    pages = "".join((ROOT / page).read_text() for page in ("README.md", "docs/howto/compare.md"))
    script, study, program = (ROOT / "examples" / name for name in ("curl.sh", "study.sh", "quickstart.py"))
    blocks = [block.partition("\n")[2].strip() for block in pages.split("```")[1::2]]
    assert script.read_text().partition("fitwell serve\n")[2].strip() in blocks
    assert study.read_text().partition("fitwell serve\n")[2].strip() in blocks
    assert program.read_text().partition('"""\n\n')[2].strip() in blocks
    environment = {**os.environ, "FITWELL_URL": served.client.transport.url}
    output = subprocess.run(
        ["sh", str(script)], env=environment, capture_output=True, text=True, timeout=scaled(60), check=True
    )
    assert "event: run.succeeded" in output.stdout
    assert output.stdout.count("\n") == 1 + 20 + sum(line.startswith("event") for line in output.stdout.splitlines())
    output = subprocess.run(
        ["sh", str(study)], env=environment, capture_output=True, text=True, timeout=scaled(60), check=True
    )
    assert '"verdict": "' in output.stdout
    assert '"object":"diagnosis"' in output.stdout
    output = subprocess.run(
        [sys.executable, str(program)], env=environment, capture_output=True, text=True, timeout=scaled(60), check=True
    )
    assert "val.loss" in output.stdout
    submitted = fitwell_command("submit", str(ROOT / "examples/overfit.yaml"), "--wait", env=environment)
    assert submitted.returncode == 0, submitted.stderr


@pytest.mark.parametrize("delay", [0.3, 0.6, 0.9, 1.2])
def test_signal_during_start_leaves_no_process_behind(delay: float, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "fitwell.cli",
        "serve",
        "--data-dir",
        str(tmp_path / "d"),
        "--port",
        str(free_port()),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(delay)
    children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    process.wait(scaled(30))
    eventually(lambda: not [p for p in children if p.is_running()], 5)
    marked = str(tmp_path / "d")
    assert not [p for p in psutil.process_iter() if marked in _environment(p).get("FITWELL_DATA_DIR", "")]


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}
