"""No secret of any rule, anywhere in a span or an event, leaves the program."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from servers.slow import slow_except

FOLDER = Path(__file__).parent / "canaries"
sys.path.insert(0, str(FOLDER))

from canary_secrets import can_be_header_name, make_canaries, make_secret_names  # noqa: E402
from echo_server import echoing  # noqa: E402

CANARIES = make_canaries()
SECRET_NAMES = make_secret_names()
BY_RULE = {canary.rule: canary for canary in CANARIES}
SOME_CANARIES = CANARIES[::12]
SOME_SECRET_NAMES = dict(list(SECRET_NAMES.items())[::6])
CONFIGURED_HEADERS = frozenset(("x-project-id", "x-api-key"))
"""Headers of this package's own requests whose values are settings."""
CONTEXT_CHARACTERS = 60

MODES = {
    "some": {},
    "mask": {},
    "remove": {"LUPIS_REDACTION_MODE": "remove"},
    "hash": {"LUPIS_REDACTION_MODE": "hash"},
    "console": {"LUPIS_EXPORTER": "console"},
}
"""The variables of each run."""
COMPLETE_RUNS = ("mask", "console")
"""The runs with all secrets; tests/_redaction/rules redacts the others in each mode."""


def build_variables(canaries, secret_names, **extra):
    """Returns variables with canaries in their values."""
    key = BY_RULE["sk-key"].text
    notes = [f"note.{number}={quote(canary.text)}" for number, canary in enumerate(canaries)]
    hidden = [f"deployment.{name}={value}" for name, value in secret_names.items()]
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


class Output:
    """All text that left one run of the program: requests to the collector, stdout and stderr.

    Attributes:
        canaries, secret_names: the secrets that the program has.
    """

    def __init__(self, done, requests, canaries=(), secret_names=None):
        self.canaries = canaries
        self.secret_names = secret_names
        bodies = [
            gzip.decompress(request.raw) if "content-encoding" in request.headers else request.raw
            for request in requests
        ]
        heads = [
            f"{request.path}\n{name}: {value}".encode()
            for request in requests
            for name, value in request.headers.items()
            if name not in CONFIGURED_HEADERS
        ]
        written = [done.stderr.encode(), done.stdout.encode()]
        self.text = b"\n".join([*bodies, *heads, *written]).decode("utf-8", "replace")
        self.done = done
        self.sink = done.sink

    def find_leaks(self, needles):
        """Returns each place of a needle, with the text around it."""
        starts = [self.text.find(needle) for needle in needles]
        width = CONTEXT_CHARACTERS
        return [self.text[max(0, start - width) : start + width] for start in starts if start >= 0]


@pytest.fixture(scope="module", params=slow_except({"some"}, MODES))
def output(request, tmp_path_factory):
    """The output of a program that has a secret of every rule in every text."""
    from servers import llm, otlp
    from servers.program import Runner

    is_complete = request.param in COMPLETE_RUNS
    canaries = CANARIES if is_complete else SOME_CANARIES
    secret_names = SECRET_NAMES if is_complete else SOME_SECRET_NAMES
    with otlp.serving() as sink, llm.listening() as server, echoing() as echo:
        run = Runner(sink, tmp_path_factory.mktemp("canaries"))
        planted = {
            "texts": [canary.text for canary in canaries],
            "header_names": [canary.text for canary in canaries if can_be_header_name(canary)],
            "names": secret_names,
        }
        endpoint = sink.otlp_url if request.param == "hash" else sink.traces_url
        env = build_variables(
            canaries, secret_names, LUPIS_OTLP_ENDPOINT=endpoint, **MODES[request.param]
        )
        done = run(
            FOLDER / "plant_secrets.py",
            echo.host,
            server.url,
            env=env,
            stdin=json.dumps(planted),
            timeout=120,
        )
        assert 0 == done.returncode, done.stderr[:4000]
        output = Output(done, sink.requests, canaries, secret_names)
        output.request_count = echo.seen + len(server.seen)
        yield output


def test_the_program_made_all_calls_spans_and_events(output):
    """Otherwise the tests below would prove nothing."""
    if output.sink.spans:
        names = {name for span in output.sink.spans for name in span["attributes"]}
        assert {
            "url.full",
            "http.request.header.x-note-0",
            "http.response.header.x-note-0",
        } <= names
        calls = sum("url.full" in span["attributes"] for span in output.sink.spans)
        assert len(output.canaries) < output.request_count <= calls
        assert len(output.canaries) == len(output.sink.events or output.sink.logs)
    else:
        assert 3 * len(output.canaries) < output.done.stderr.count("\n")


def test_no_secret_of_any_rule_leaves(output):
    """Neither a whole secret nor a longer piece of it appears, in any encoding."""
    leaks = {canary.rule: output.find_leaks(canary.needles) for canary in output.canaries}
    assert {} == {rule: places for rule, places in leaks.items() if places}


def test_no_value_of_a_secret_name_leaves(output):
    """The value does not appear, wherever the name was used."""
    leaks = {name: output.find_leaks([value]) for name, value in output.secret_names.items()}
    assert {} == {name: places for name, places in leaks.items() if places}


CALL = """
import urllib.request
try:
    urllib.request.urlopen("http://127.0.0.1:9/")
except OSError:
    pass
"""
TEMPLATE = Path(__file__).parents[2] / "sitecustomize_template"
KEY = BY_RULE["sk-key"]


def test_no_secret_of_an_endpoint_is_on_stderr(run):
    """The line about failed delivery and the summary show the endpoint without its secrets."""
    endpoint = f"http://bob:{SECRET_NAMES['password']}@127.0.0.1:9/api/traces?key={KEY.text}"
    done = run(CALL, env={"LUPIS_OTLP_ENDPOINT": endpoint, "LUPIS_SUMMARY": "true"})
    output = Output(done, [])
    assert "127.0.0.1:9/api/traces" in output.text
    assert [] == output.find_leaks([SECRET_NAMES["password"], *KEY.needles])


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param("LUPIS_REDACTION_MODE", "{}", marks=pytest.mark.slow),
        pytest.param("LUPIS_INSTRUMENT", "{}", marks=pytest.mark.slow),
        ("LUPIS_OTLP_ENDPOINT", "ftp://127.0.0.1/?key={}"),
        pytest.param("LUPIS_EXCLUDED_URLS", "({}", marks=pytest.mark.slow),
        ("LUPIS_SENSITIVE_DATA_PATTERNS", "({}"),
    ],
)
def test_no_secret_in_an_invalid_value_is_on_stderr(variable, value, run):
    """The warning about a variable with a key as its value does not show the key."""
    env = {"LUPIS_EXPORTER": "none", "PYTHONPATH": str(TEMPLATE)}
    done = run(CALL, launched=False, env={**env, variable: value.format(KEY.text)})
    output = Output(done, [])
    assert variable in output.text
    assert [] == output.find_leaks(KEY.needles)
