"""A client that a generator makes of the served OpenAPI document, without a line by hand, submits and reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import scaled
from tests.processes import serving

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
GENERATOR = Path(sys.prefix) / "generator" / "bin"
"""An environment of its own, which ``make test`` makes."""
BODY = {
    "dataset": {"kind": "digits", "train_size": 100},
    "model": {"kind": "mlp", "hidden": [16]},
    "regularizers": [{"kind": "dropout", "p": 0.2}],
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 3,
}
PROGRAM = """
import json, sys, time
from generated import Client
from generated.api.runs import create_run, get_diagnosis, get_history, get_run
from generated.api.studies import compare_study, create_study, get_study
from generated.models import RunBody, StudyBody

body = json.loads(sys.argv[2])
with Client(base_url=sys.argv[1]) as client:
    run = create_run.sync(client=client, body=RunBody.from_dict(body))
    while not get_run.sync(run.id, client=client).terminal:
        time.sleep(0.1)
    history = get_history.sync(run.id, client=client)
    study = create_study.sync(client=client, body=StudyBody.from_dict({"base": body, "seeds": 2}))
    while not get_study.sync(study.id, client=client).terminal:
        time.sleep(0.1)
    found = {
        "epoch": history.epoch,
        "losses": history.series["val.loss"],
        "verdict": get_diagnosis.sync(run.id, client=client).verdict,
        "n": compare_study.sync(study.id, client=client).arms[0].n,
    }
print(json.dumps(found))
"""


def test_generated_client_submits_a_run_and_a_study_and_reads_the_results(tmp_path: Path) -> None:
    if not (GENERATOR / "openapi-python-client").exists():
        pytest.skip("the generator is not installed: make test installs it")
    with serving(tmp_path / "home") as served:
        document = tmp_path / "openapi.json"
        document.write_text(json.dumps(served.client.transport.request("GET", "/openapi.json").json()))
        command = [str(GENERATOR / "openapi-python-client"), "generate", "--path", str(document), "--meta", "none"]
        command += ["--output-path", str(tmp_path / "generated"), "--fail-on-warning"]
        command += ["--config", str(ROOT / "examples/openapi-python-client.yaml")]
        environment = {**os.environ, "PATH": f"{GENERATOR}:{os.environ['PATH']}"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=scaled(60), check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        program = [str(GENERATOR / "python"), "-c", PROGRAM, served.client.transport.url, json.dumps(BODY)]
        done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=scaled(60), check=False)
        assert done.returncode == 0, done.stderr
        output = json.loads(done.stdout)
    assert (output["epoch"], len(output["losses"]), output["verdict"], output["n"]) == ([1, 2, 3], 3, "undecided", 2)
