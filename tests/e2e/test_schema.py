"""The server conforms to its schema: every allowed request gets a documented response, and never a 5xx.

With every change some 800 requests are sent. FITWELL_FUZZ_EXAMPLES=200 sends 200 examples of every operation instead
of 8, before them each field at each of its limits, which are 58,000 requests, and 40 times as many chains.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.patience import scaled
from tests.processes import serving

pytestmark = pytest.mark.slow
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
"""Checks of responses; which bodies are refused is tested case by case elsewhere."""
LONGER = "FITWELL_FUZZ_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("FITWELL_FUZZ_EXAMPLES", "8"))
SECONDS = 850 * max(1, EXAMPLES // 5)
ONCE = ("coverage,fuzzing" if LONGER else "fuzzing", EXAMPLES, "off", 1)
CHAINS = [("stateful", 20, "required", seed) for seed in range(1, max(1, EXAMPLES // 5 if LONGER else 1) + 1)]


@pytest.mark.timeout(10 * SECONDS)
@pytest.mark.parametrize(("phases", "examples", "auth", "seed"), [ONCE, *CHAINS])
def test_every_response_conforms_to_the_schema(
    phases: str, examples: int, auth: str, seed: int, tmp_path: Path
) -> None:
    with serving(tmp_path / "home", workers=1, FITWELL_MAX_STUDY_RUNS="200", FITWELL_AUTH=auth) as served:
        # The first admin's token, which must not revoke itself.
        header = {"Authorization": f"Bearer {served.first_token()}"} if auth == "required" else {}
        document = f"{served.client.transport.url}/openapi.json"
        httpx2.get(document, headers=header, timeout=scaled(60)).raise_for_status()  # the command waits 10 s for it
        command = [sys.executable, "-m", "schemathesis.cli", "run", document]
        command += ["--checks", CHECKS, "--phases", phases, "--max-examples", str(examples), "--seed", str(seed)]
        command += ["--workers", "2", "--suppress-health-check", "all"]
        for name, value in header.items():
            command += ["--header", f"{name}: {value}", "--exclude-operation-id", "revoke_token"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=scaled(SECONDS), cwd=tmp_path, check=False
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:] + served.output()[-3000:]
        generated, succeeded = map(int, re.findall(r"(\d+) generated, (\d+) passed", done.stdout)[-1])
        assert generated == succeeded > (100 if seed == 1 else 0)  # some seeds begin few chains
