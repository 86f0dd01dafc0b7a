"""`lupis mcp` answers the questions of coding agents over standard streams."""

import asyncio
import json
import os
import sys

import pytest

from lupis_instrument._cli.lupis import mcp


@pytest.fixture
def two_calls(store, monkeypatch):
    """The store of this process has two calls, one of which has failed."""
    store.call("gpt-4o", cost=0.5)
    store.call("gpt-4o-mini", error="429")
    monkeypatch.setenv("LUPIS_DATA_DIR", str(store.folder))
    return store.folder


def test_tools_answer_with_json(two_calls):
    """They are the answers of the commands."""
    (row,) = json.loads(mcp.list_calls(errors=True))
    assert ("gpt-4o-mini", "429") == (row["model"], row["error"])
    (dearest,) = json.loads(mcp.list_calls(order="dearest", limit=1))
    assert "gpt-4o" == dearest["model"]
    report = json.loads(mcp.report_totals(by="model,error"))
    assert (["provider", "model", "error"], 2) == (report["by"], report["total"]["calls"])


@pytest.mark.parametrize(
    "answer",
    [
        lambda: mcp.show_spans("no-such-id"),
        lambda: mcp.show_spans("--help"),
        lambda: mcp.compare_runs("a", "b"),
        lambda: mcp.report_totals(by="nothing"),
        lambda: mcp.list_calls(filter="cost>much"),
        lambda: mcp.list_runs(limit=0),
    ],
)
def test_a_wrong_question_is_answered_with_the_error(answer, two_calls):
    """The server goes on."""
    with pytest.raises(mcp.QuestionError):
        answer()


def test_last_is_the_newest_run_in_every_tool(two_calls):
    """The server's instructions say so."""
    run = json.loads(mcp.list_runs())[0]["run"]
    assert run == json.loads(mcp.show_spans("last"))["id"]
    comparison = json.loads(mcp.compare_runs("last", "last"))
    assert (run, run) == (comparison["before"], comparison["after"])
    assert 2 == json.loads(mcp.report_totals(run="last"))["total"]["calls"]


def test_every_tool_describes_itself():
    """An agent reads names and docstrings."""
    assert 6 == len({tool.__name__ for tool in mcp.TOOLS if tool.__doc__})


def test_a_missing_package_is_named(lupis, monkeypatch):
    """The message has the command that installs it."""
    monkeypatch.setattr(mcp, "_SERVERS", (("no_such_module", "Server"),))
    result = lupis("mcp")
    assert 1 == result.exit_code
    assert "pip install 'lupis-instrument[mcp]'" in result.stderr


def test_a_client_finds_and_calls_the_tools(two_calls):
    """The client is the one of the package mcp, whichever version; errors are marked as errors."""
    pytest.importorskip("mcp", reason="pip install mcp")
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    code = (
        "import sys; sys.argv[1:] = ['mcp']; from lupis_instrument._cli import lupis; lupis.main()"
    )
    server = StdioServerParameters(
        command=sys.executable, args=["-c", code], env=dict(os.environ), cwd=str(two_calls)
    )

    async def ask():
        async with stdio_client(server) as streams, ClientSession(*streams[:2]) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            answer = await session.call_tool("report_totals", {"by": "model"})
            refusal = await session.call_tool("show_spans", {"id": "no-such-id"})
            return [tool.name for tool in tools], answer, refusal

    names, answer, refusal = asyncio.run(ask())
    assert [tool.__name__ for tool in mcp.TOOLS] == names
    assert 2 == json.loads(answer.content[0].text)["total"]["calls"]
    assert "no-such-id" in refusal.content[0].text
    version_2 = hasattr(refusal, "is_error")
    assert (refusal.is_error if version_2 else refusal.isError) is True
