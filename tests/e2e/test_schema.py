"""The served schema against the server: whatever it allows is answered as it says, and never with a 5xx."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import serving

pytestmark = pytest.mark.slow
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
"""What it says of answers; whether refused bodies are refused rightly is tested case by case."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("phases", "examples", "auth"), [("coverage,fuzzing", 5, "off"), ("stateful", 20, "required")])
def test_every_answer_is_one_that_the_schema_tells_of(phases: str, examples: int, auth: str, tmp_path: Path) -> None:
    with serving(tmp_path / "home", workers=1, FITWELL_MAX_STUDY_RUNS="200", FITWELL_AUTH=auth) as served:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served.client.transport.url}/openapi.json"]
        command += ["--checks", CHECKS, "--phases", phases, "--max-examples", str(examples), "--seed", "1"]
        command += ["--workers", "2", "--suppress-health-check", "all"]
        if auth == "required":  # with the first admin's token, which must not revoke itself
            (secret,) = re.findall(r"fw_[\w-]{43}", served.said())
            command += ["--header", f"Authorization: Bearer {secret}", "--exclude-operation-id", "revoke_token"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=850, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:] + served.said()[-3000:]
        generated, passed = map(int, re.findall(r"(\d+) generated, (\d+) passed", done.stdout)[-1])
        assert generated == passed > 100
