"""The README is short, its programs run, and its sample output is real."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
MAX_LINES = 150
MAX_WORDS = 1400
OPENING_LINES = 40

AGENT_UNDER_TEST = """
import json, sys, urllib.request

def run_my_agent():
    messages = [{"role": "user", "content": "hi"}]
    data = json.dumps({"model": "gpt-4o-mini", "messages": messages}).encode()
    urllib.request.urlopen(f"{sys.argv[1]}/v1/chat/completions", data).read()
"""


def without_times(text):
    """The text with a mark for each number of seconds, without the slowest call and ids."""
    text = re.sub(r"^  (slowest: .*, trace|run) [0-9a-f]{8}$", r"  \1 ID", text, flags=re.MULTILINE)
    return re.sub(r"slowest: .*", "slowest", re.sub(r" *\d+\.\d\d s\b", " TIME", text))


def test_it_is_short():
    """The README has at most 150 lines and 1,400 words."""
    assert MAX_LINES >= len(README.splitlines())
    assert MAX_WORDS >= len(README.split())


def test_begins_with_what_a_newcomer_needs():
    """The first 40 lines have the command, the summary that it prints, and four benefits."""
    opening = README.splitlines()[:OPENING_LINES]
    assert "lupis-run python my_agent.py" in opening
    assert any(line.startswith("lupis: ") for line in opening)
    assert 4 == sum(line.startswith("- **") for line in opening)


def test_sample_output_is_real(run):
    """`make demo` prints the sample output, except for the times."""
    env = {"LUPIS_EXPORTER": "console", "LUPIS_SUMMARY": "true", "LUPIS_CHAT_ID": "demo-trip"}
    done = run(ROOT / "examples" / "agent.py", env=env)
    sample = re.findall(r"```text\n(.*?)```", README, re.DOTALL)[0]
    assert without_times(sample) == without_times(done.stderr)


def test_program_with_events_and_chat_ids_runs(run):
    """The first program runs with and without `lupis-run`, and its event arrives."""
    outcomes = [run(PROGRAMS[0], launched=launched) for launched in (True, False)]
    assert [(0, "", "")] * 2 == [(done.returncode, done.stdout, done.stderr) for done in outcomes]
    assert ["feature_used"] * 2 == [event["name"] for event in outcomes[0].events]


def test_program_with_a_span_runs(run):
    """The second program runs with and without `lupis-run`, and its span arrives."""
    outcomes = [run(PROGRAMS[1], launched=launched) for launched in (True, False)]
    assert [(0, "", "")] * 2 == [(done.returncode, done.stdout, done.stderr) for done in outcomes]
    spans = outcomes[0].spans
    assert ["plan trip"] * 2 == [span["name"] for span in spans]
    assert {"steps": 3, "city": "Lisbon"}.items() <= spans[0]["attributes"].items()


def test_program_for_tests_runs(run, llm):
    """The third program is a test that passes with an agent that makes one call."""
    program = AGENT_UNDER_TEST + PROGRAMS[2] + "test_the_agent_asks_once()\n"
    done = run(program, llm.url, launched=False)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert [] == done.spans


def test_all_programs_are_tested():
    """The README has the three programs that the tests above run."""
    assert 3 == len(PROGRAMS)


def test_links_are_absolute():
    """Links work on a package page too; tests/test_release.py checks that their files exist."""
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 15
    assert [] == [link for link in links if not link.startswith("https://")]
