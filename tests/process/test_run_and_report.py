"""Commands of `lupis` report the calls of a program that ran under lupis-run."""

import json
import subprocess
import sys

LUPIS_COMMAND = [sys.executable, "-c", "from lupis_instrument._cli.lupis import main; main()"]
PROGRAM = """
import httpx, sys
for model in ("gpt-4o", "gpt-4o", "gpt-4o-mini"):
    body = {"model": model, "messages": [{"role": "user", "content": "secret words"}]}
    httpx.post(sys.argv[1] + "/v1/chat/completions", json=body)
"""


def test_the_report_shows_the_calls_of_a_program(run, llm, tmp_path):
    """It reads the local store, and shows the tokens that the provider reported."""
    env = {"LUPIS_EXPORTER": "local", "LUPIS_DATA_DIR": str(tmp_path / "own")}
    done = run(PROGRAM, llm.url, env=env)
    assert (0, []) == (done.returncode, done.spans)
    answers = [
        subprocess.run(
            [*LUPIS_COMMAND, *arguments],
            env=run.build_environment(env),
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for arguments in (
            ["report", "--format", "json"],
            ["export"],
            ["traces", "--format", "json"],
        )
    ]
    rows = {row["model"]: row for row in json.loads(answers[0])["rows"]}
    assert {"gpt-4o": 2, "gpt-4o-mini": 1} == {name: row["calls"] for name, row in rows.items()}
    assert all(row["input_tokens"] and row["output_tokens"] for row in rows.values())
    assert all(row["cost_usd"] and not row["unpriced"] for row in rows.values())
    assert 3 == len(json.loads(answers[2]))
    assert b"secret words" not in b"".join(answers)
