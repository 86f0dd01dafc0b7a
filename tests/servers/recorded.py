"""A store with spans and events like a program's, and the command `lupis` that reads the store."""

import json
import os
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context
from servers.program import ManagedProcess

from lupis_instrument._cli.lupis.commands import lupis as command
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.otlp.target import Target
from lupis_instrument._export.store.database import FILE_NAME
from lupis_instrument._export.store.store import Process, Store

SECOND = 1_000_000_000
MAIN = "from lupis_instrument._cli.lupis import main; main()"
URL = "http://127.0.0.1:9/v1/traces"
FOREIGN_PREFIXES = ("LUPIS_", "OTEL_", "PYTHON", "NO_COLOR", "TERM", "COLUMNS", "LINES", "TZ")


class StoreFiller:
    """Adds spans and events to the store in a folder, as a process of a program does."""

    def __init__(self, folder, project="shop", run="a" * 32, **facts):
        self.folder = folder
        self.file = folder / FILE_NAME
        self.now = time.time_ns()
        self.target = Target(URL, "traces", project, URL)
        self.store = Store(str(folder), 1 << 28, Process(project, run, os.getpid(), **facts))
        resource = Resource({"service.name": "agent", "lupis.run.id": run})
        self.tracer = TracerProvider(resource=resource, shutdown_on_exit=False).get_tracer("tests")
        self.encoder = ItemEncoder(resource)

    def span(self, name="work", *, ago=60, seconds=1.0, parent=None, target=None, **attributes):
        """Stores and returns a finished span that began `ago` seconds before."""
        start = self.now - int(ago * SECOND)
        span = self.tracer.start_span(
            name,
            context=set_span_in_context(parent) if parent is not None else None,
            start_time=start,
            attributes=attributes,
        )
        span.end(start + int(seconds * SECOND))
        self.store.add_items(self.encoder.encode_spans([span]), target)
        return span

    def call(
        self,
        model="gpt-4o",
        provider="openai",
        *,
        input_tokens=10,
        output_tokens=5,
        cached_tokens=None,
        chat=None,
        cost=None,
        status=None,
        error=None,
        first_chunk=None,
        **options,
    ):
        """Stores and returns the span of a finished LLM call; passes `options` to `span`."""
        attributes = {
            "gen_ai.provider.name": provider,
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": model,
            "gen_ai.usage.input_tokens": input_tokens,
            "gen_ai.usage.output_tokens": output_tokens,
            "gen_ai.usage.cache_read.input_tokens": cached_tokens,
            "gen_ai.response.time_to_first_chunk": first_chunk,
            "lupis.chat.id": chat,
            "lupis.cost.total": cost,
            "lupis.cost.status": status or ("unpriced" if cost is None else "priced"),
            "error.type": error,
        }
        attributes = {name: value for name, value in attributes.items() if value is not None}
        return self.span(f"chat {model}", **options, **attributes)

    def event(self, name, chat=None, *, user=None, target=None, **properties):
        """Stores an event with the current time."""
        ids = {"chat_id": chat, "user_id": user}
        metadata = {key: value for key, value in ids.items() if value is not None}
        event = {
            "name": name,
            "timestamp": self.now // 1_000_000,
            "properties": properties,
            "metadata": metadata,
        }
        self.store.add_items(self.encoder.encode_events([event]), target)

    def sql(self, statement, *values):
        """Returns the rows of an SQL statement."""
        return self.store.database.run(lambda db: db.execute(statement, values).fetchall())


def trace_id(span):
    """Returns the trace id of a span in hexadecimal."""
    return format(span.context.trace_id, "032x")


@pytest.fixture
def store(tmp_path):
    """A filler of the store that the fixture `lupis` reads."""
    filler = StoreFiller(tmp_path / "data")
    yield filler
    filler.store.database.close()


@pytest.fixture
def make_filler(tmp_path):
    """Makes a filler of the same file, as a process with other facts."""
    fillers = []

    def make(**facts):
        fillers.append(StoreFiller(tmp_path / "data", **facts))
        return fillers[-1]

    yield make
    for filler in fillers:
        filler.store.database.close()


@pytest.fixture
def other_store(tmp_path):
    """A filler of the same file, as a process of another run and project."""
    filler = StoreFiller(tmp_path / "data", "lab", "b" * 32)
    yield filler
    filler.store.database.close()


@pytest.fixture
def lupis(tmp_path):
    """Runs the command in this process; returns click's result."""
    try:
        runner = CliRunner(mix_stderr=False)  # click before 8.2
    except TypeError:
        runner = CliRunner()
    environment = {"LUPIS_DATA_DIR": str(tmp_path / "data"), "TZ": None}
    return lambda *arguments, **env: runner.invoke(command, arguments, env={**environment, **env})


@pytest.fixture
def start_lupis(tmp_path):
    """Starts the command as a process."""

    def start(*arguments, env=(), **options):
        own = {
            name: text for name, text in os.environ.items() if not name.startswith(FOREIGN_PREFIXES)
        }
        return ManagedProcess(
            [sys.executable, "-c", MAIN, *arguments],
            env={**own, "LUPIS_DATA_DIR": str(tmp_path / "data"), **dict(env)},
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                **options,
            },
        )

    return start


@pytest.fixture
def doctor(sink, tmp_path):
    """Runs `lupis doctor` as a process; by default, its endpoint is the collector `sink`."""

    def run(*arguments, **variables):
        own = {
            name: text for name, text in os.environ.items() if not name.startswith(FOREIGN_PREFIXES)
        }
        return subprocess.run(
            [sys.executable, "-c", MAIN, "doctor", *arguments],
            env={
                **own,
                "XDG_DATA_HOME": str(tmp_path / "data"),
                "LUPIS_OTLP_ENDPOINT": sink.traces_url,
                **variables,
            },
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    return run


def read_results(done):
    """Returns the results of `lupis doctor --format json` by name."""
    return {result["name"]: result for result in json.loads(done.stdout)}
