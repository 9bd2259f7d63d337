"""``fitwell mcp``: the tools that assistants see, over stdio."""

from __future__ import annotations

import json
import sys
from typing import Any

import anyio
import pytest

import fitwell
from tests.e2e.guarded import SPEC, Guarded
from tests.patience import scaled

pytestmark = pytest.mark.slow


async def tools_of(guarded: Guarded, token: str, *options: str) -> Any:
    """Return the streams of an MCP server and the class of its sessions."""
    from mcp.client.session import ClientSession
    from mcp.client.stdio import StdioServerParameters, stdio_client

    arguments = ["-m", "fitwell.cli", "mcp", *options]
    line = StdioServerParameters(command=sys.executable, args=arguments, env=guarded.environment(token))
    return stdio_client(line), ClientSession


def content_of(result: Any) -> Any:
    if result.structured_content is not None:
        content = result.structured_content
        return content["result"] if set(content) == {"result"} else content
    return json.loads(result.content[0].text)


def test_assistant_submits_reads_and_compares_over_stdio(guarded: Guarded, finished_run: fitwell.Run) -> None:
    async def main() -> None:
        streams, session_of = await tools_of(guarded, guarded.token)
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
            assert created["reused_from"] == finished_run.id
            run_json = content_of(await session.call_tool("get_run", {"run_id": created["id"]}))
            assert run_json["name"] == "by an assistant"
            assert run_json["diagnosis"]["verdict"] == finished_run.diagnosis().verdict
            query = {"run_id": finished_run.id, "metrics": "val.loss"}
            history = content_of(await session.call_tool("get_history", query))
            assert history["series"] == {"val.loss": finished_run.history["val.loss"]}
            listed = content_of(await session.call_tool("list_runs", {"filter": 'status = "succeeded"', "limit": 3}))
            assert {one["status"] for one in listed} == {"succeeded"}
            arms = {"plain": {}, "more": {"optimizer": {"lr": 0.2}}}
            study = content_of(await session.call_tool("submit_study", {"base": SPEC, "arms": arms, "seeds": 2}))
            guarded.client.studies.get(study["id"]).wait(scaled(60))
            compared = content_of(await session.call_tool("compare_study", {"study_id": study["id"]}))
            assert [arm["n"] for arm in compared["arms"]] == [2, 2]
            wrong = await session.call_tool("submit_run", {"spec": {**SPEC, "optimizer": {"kind": "sgdd"}}})
            assert wrong.is_error
            assert "Did you mean 'sgd'" in wrong.content[0].text

    anyio.run(main)


@pytest.mark.parametrize("how", ["a token that reads", "--read-only"])
def test_assistant_without_a_write_token_only_reads(guarded: Guarded, how: str) -> None:
    reader = guarded.client.tokens.create(owner="reader", name="test", scopes=["read"])

    async def main() -> None:
        options = ("--read-only",) if how == "--read-only" else ()
        token = guarded.token if options else str(reader.token)
        streams, session_of = await tools_of(guarded, token, *options)
        async with streams as (read, write), session_of(read, write) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            assert len(tools) == 5
            assert all(tool.annotations.read_only_hint for tool in tools)
            assert (await session.call_tool("submit_run", {"spec": SPEC})).is_error

    anyio.run(main)
