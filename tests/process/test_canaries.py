"""No secret of any kind, planted anywhere in a span or an event, is in any byte that leaves."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

FOLDER = Path(__file__).parent / "canaries"
sys.path.insert(0, str(FOLDER))

from echo import echoing  # noqa: E402
from secrets_of_all_kinds import name_all, names_a_header, plant_all  # noqa: E402

CANARIES = plant_all()
NAMED = name_all()
BY_RULE = {canary.rule: canary for canary in CANARIES}
OURS = frozenset(("x-project-id", "x-api-key"))
"""Headers of our own requests that carry what they were configured with."""
CONTEXT = 60

MODES = {
    "mask": {},
    "remove": {"LUPIS_REDACTION_MODE": "remove"},
    "hash": {"LUPIS_REDACTION_MODE": "hash"},
    "console": {"LUPIS_EXPORTER": "console"},
}


def environment(**extra):
    """Variables that carry canaries themselves."""
    key = BY_RULE["sk-key"].text
    notes = [f"note.{number}={quote(each.text)}" for number, each in enumerate(CANARIES)]
    hidden = [f"deployment.{name}={value}" for name, value in NAMED.items()]
    return {
        "LUPIS_LOG_LEVEL": "debug",
        "LUPIS_SUMMARY": "true",
        "LUPIS_API_KEY": key,
        "LUPIS_PROJECT_ID": BY_RULE["github"].text,
        "LUPIS_SERVICE_NAME": BY_RULE["groq"].text,
        "LUPIS_SERVICE_VERSION": BY_RULE["npm"].text,
        "LUPIS_USER_ID": BY_RULE["slack"].text,
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(notes + hidden),
        "OTEL_BSP_MAX_QUEUE_SIZE": "100000",
        "OTEL_ATTRIBUTE_COUNT_LIMIT": "1000",
        "LUPIS_SHUTDOWN_TIMEOUT": "30",
        **extra,
    }


class Told:
    """All that left one run of the program."""

    def __init__(self, done, requests):
        bodies = [
            gzip.decompress(each.raw) if "content-encoding" in each.headers else each.raw
            for each in requests
        ]
        heads = [
            f"{each.path}\n{name}: {value}".encode()
            for each in requests
            for name, value in each.headers.items()
            if name not in OURS
        ]
        written = [done.stderr.encode(), done.stdout.encode()]
        self.text = b"\n".join([*bodies, *heads, *written]).decode("utf-8", "replace")
        self.done = done
        self.sink = done.sink

    def leaks(self, needles):
        """Where one of the needles is, with what stands around it."""
        places = [self.text.find(needle) for needle in needles]
        return [self.text[max(0, at - CONTEXT) : at + CONTEXT] for at in places if at >= 0]


@pytest.fixture(scope="module", params=MODES)
def told(request, tmp_path_factory):
    """What a program told that has a secret of every kind in every place."""
    from servers import llm, otlp
    from servers.program import Runner

    with otlp.serving() as sink, llm.listening() as server, echoing() as echo:
        run = Runner(sink, tmp_path_factory.mktemp("canaries"))
        planted = {
            "texts": [each.text for each in CANARIES],
            "header_names": [each.text for each in CANARIES if names_a_header(each)],
            "names": NAMED,
        }
        endpoint = sink.otlp_url if request.param == "hash" else sink.traces_url
        env = environment(LUPIS_OTLP_ENDPOINT=endpoint, **MODES[request.param])
        done = run(
            FOLDER / "plant.py",
            echo.host,
            server.url,
            env=env,
            stdin=json.dumps(planted),
            timeout=120,
        )
        assert 0 == done.returncode, done.stderr[:4000]
        told = Told(done, sink.requests)
        told.asked = echo.seen + len(server.seen)
        yield told


def test_all_is_told(told):
    """Else the tests below would prove nothing: spans of calls, own spans, and events."""
    if told.sink.spans:
        names = {name for span in told.sink.spans for name in span["attributes"]}
        assert {
            "url.full",
            "http.request.header.x-note-0",
            "http.response.header.x-note-0",
        } <= names
        calls = sum("url.full" in span["attributes"] for span in told.sink.spans)
        assert len(CANARIES) < told.asked <= calls
        assert len(CANARIES) == len(told.sink.events or told.sink.logs)
    else:
        assert 3 * len(CANARIES) < told.done.stderr.count("\n")


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.rule)
def test_no_secret_of_a_rule_leaves(told, canary):
    """Neither as a whole nor a longer piece of it, in no encoding."""
    assert [] == told.leaks(canary.needles)


@pytest.mark.parametrize("name", NAMED)
def test_no_value_of_a_name_leaves(told, name):
    """What a name hides is nowhere, whatever the name stood before."""
    assert [] == told.leaks([NAMED[name]])


CALL = """
import urllib.request
try:
    urllib.request.urlopen("http://127.0.0.1:9/")
except OSError:
    pass
"""
TEMPLATE = Path(__file__).parents[2] / "sitecustomize_template"
KEY = BY_RULE["sk-key"]


def test_no_secret_of_an_endpoint_is_said(run):
    """Neither by the line that says what could not be delivered, nor by the totals."""
    place = f"http://bob:{NAMED['password']}@127.0.0.1:9/api/traces?key={KEY.text}"
    done = run(CALL, env={"LUPIS_OTLP_ENDPOINT": place, "LUPIS_SUMMARY": "true"})
    told = Told(done, [])
    assert "127.0.0.1:9/api/traces" in told.text
    assert [] == told.leaks([NAMED["password"], *KEY.needles])


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LUPIS_REDACTION_MODE", "{}"),
        ("LUPIS_INSTRUMENT", "{}"),
        ("LUPIS_OTLP_ENDPOINT", "ftp://127.0.0.1/?key={}"),
        ("LUPIS_EXCLUDED_URLS", "({}"),
        ("LUPIS_SENSITIVE_DATA_PATTERNS", "({}"),
    ],
)
def test_no_secret_in_a_wrong_value_is_said(variable, value, run):
    """A key that went into the wrong variable is not on stderr when that is complained about."""
    env = {"LUPIS_EXPORTER": "none", "PYTHONPATH": str(TEMPLATE)}
    done = run(CALL, launched=False, env={**env, variable: value.format(KEY.text)})
    told = Told(done, [])
    assert variable in told.text
    assert [] == told.leaks(KEY.needles)
