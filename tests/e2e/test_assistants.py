"""``fitwell mcp``: the tools that assistants see, over stdio."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import fitwell
from tests.patience import scaled
from tests.processes import Serving, serving

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[2]


SPEC: dict[str, Any] = {
    "dataset": {"kind": "digits", "train_size": 200},
    "model": {"kind": "mlp", "hidden": [16]},
    "regularizers": [{"kind": "dropout", "p": 0.2}],
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "epochs": 5,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("integrations") / "home", FITWELL_AUTH="required") as one:
        (secret,) = re.findall(r"fw_[\w-]{43}", one.output())
        one.client.close()
        one.client = fitwell.Client(one.client.transport.url, secret)
        yield one


@pytest.fixture(scope="module")
def secret(served: Serving) -> str:
    (token,) = re.findall(r"fw_[\w-]{43}", served.output())
    return str(token)


@pytest.fixture(scope="module")
def run(served: Serving) -> fitwell.Run:
    return served.client.runs.create(name="to be exported", labels={"course": "dl"}, **SPEC).wait(scaled(60))


def command(served: Serving, secret: str, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FITWELL_URL": served.client.transport.url, "FITWELL_TOKEN": secret}
    line = [sys.executable, "-m", "fitwell.cli", *arguments]
    return subprocess.run(
        line, env=environment, capture_output=True, text=True, timeout=scaled(120), check=False, **more
    )


async def tools_of(served: Serving, token: str, *options: str) -> Any:
    """Return the streams of an MCP server and the class of its sessions."""
    from mcp.client.session import ClientSession
    from mcp.client.stdio import StdioServerParameters, stdio_client

    environment = {**os.environ, "FITWELL_URL": served.client.transport.url, "FITWELL_TOKEN": token}
    line = StdioServerParameters(command=sys.executable, args=["-m", "fitwell.cli", "mcp", *options], env=environment)
    return stdio_client(line), ClientSession


def content_of(result: Any) -> Any:
    if result.structured_content is not None:
        content = result.structured_content
        return content["result"] if set(content) == {"result"} else content
    return json.loads(result.content[0].text)


def test_assistant_submits_reads_and_compares_over_stdio(served: Serving, secret: str, run: fitwell.Run) -> None:
    async def main() -> None:
        streams, session_of = await tools_of(served, secret)
        async with streams as (read, write), session_of(read, write) as session:
            await session.initialize()
            offered = {tool.name: tool for tool in (await session.list_tools()).tools}
            assert len(offered) == 8
            assert {name for name, tool in offered.items() if not tool.annotations.read_only_hint} == {
                "submit_run", "submit_study", "cancel_run",
            }  # fmt: skip
            assert all(tool.description for tool in offered.values())
            parts = content_of(await session.call_tool("catalog", {"family": "regularizers"}))
            assert "dropout" in [part["kind"] for part in parts]
            cost = content_of(await session.call_tool("submit_run", {"spec": SPEC, "validate_only": True}))
            assert cost["parameters"] > 1000
            created = content_of(await session.call_tool("submit_run", {"spec": SPEC, "name": "by an assistant"}))
            assert created["reused_from"] == run.id
            run_json = content_of(await session.call_tool("get_run", {"run_id": created["id"]}))
            assert (run_json["name"], run_json["diagnosis"]["verdict"]) == ("by an assistant", run.diagnosis().verdict)
            history = content_of(await session.call_tool("get_history", {"run_id": run.id, "metrics": "val.loss"}))
            assert history["series"] == {"val.loss": run.history["val.loss"]}
            listed = content_of(await session.call_tool("list_runs", {"filter": 'status = "succeeded"', "limit": 3}))
            assert {one["status"] for one in listed} == {"succeeded"}
            arms = {"plain": {}, "more": {"optimizer": {"lr": 0.2}}}
            study = content_of(await session.call_tool("submit_study", {"base": SPEC, "arms": arms, "seeds": 2}))
            served.client.studies.get(study["id"]).wait(scaled(60))
            compared = content_of(await session.call_tool("compare_study", {"study_id": study["id"]}))
            assert [arm["n"] for arm in compared["arms"]] == [2, 2]
            wrong = await session.call_tool("submit_run", {"spec": {**SPEC, "optimizer": {"kind": "sgdd"}}})
            assert wrong.is_error
            assert "Did you mean 'sgd'" in wrong.content[0].text

    anyio.run(main)


@pytest.mark.parametrize("how", ["a token that reads", "--read-only"])
def test_assistant_without_a_write_token_only_reads(served: Serving, secret: str, how: str) -> None:
    reader = served.client.tokens.create(owner="reader", name="test", scopes=["read"])

    async def main() -> None:
        options = ("--read-only",) if how == "--read-only" else ()
        token = secret if options else str(reader.token)
        streams, session_of = await tools_of(served, token, *options)
        async with streams as (read, write), session_of(read, write) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            assert len(tools) == 5
            assert all(tool.annotations.read_only_hint for tool in tools)
            assert (await session.call_tool("submit_run", {"spec": SPEC})).is_error

    anyio.run(main)
