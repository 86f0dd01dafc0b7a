"""Makes a store with made-up data, to show the page without a recorded program."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import time_ns
from typing import TYPE_CHECKING, Any, Iterator, NamedTuple

from lupis_instrument import _semconv
from lupis_instrument._export.otlp.encoded_items import ItemEncoder
from lupis_instrument._export.store.database import FILE_NAME
from lupis_instrument._export.store.store import Process, Store
from lupis_instrument._tracing.stages.foreign_prices import add_cost

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Tracer

_SECOND = 10**9
_SEED = 9009
_MAX_STORE_BYTES = 1 << 28
_TURNS = 6


class DemoModel(NamedTuple):
    """A model of the made-up programs.

    Attributes:
        provider: the provider.
        name: the model.
        host: the host of the requests.
        seconds: the typical duration of a call.
    """

    provider: str
    name: str
    host: str
    seconds: float


class DemoRun(NamedTuple):
    """A made-up launch.

    Attributes:
        id: its id.
        command: its command line.
        project: its project.
        hours: how long ago it began.
        conversations: the number of its conversations.
    """

    id: str
    command: str
    project: str
    hours: float
    conversations: int


_MODELS = (
    DemoModel("openai", "gpt-4o", "api.openai.com", 2.4),
    DemoModel("openai", "gpt-4o-mini", "api.openai.com", 0.9),
    DemoModel("anthropic", "claude-sonnet-4-5", "api.anthropic.com", 4.2),
    DemoModel("gcp.gemini", "gemini-2.5-flash", "generativelanguage.googleapis.com", 1.1),
)
_RUNS = (
    DemoRun("7c41e0a95d2b4f6e8a1390bd5527ce10", "python nightly_report.py --all", "reports", 20, 9),
    DemoRun("b83f92d6e1704c55a7fe21c06d98b344", "python -m support_bot", "support", 6, 16),
    DemoRun("3f2a77c81be94d0b9c65e4810fa2d9b7", "python trip_planner.py", "travel", 0.4, 7),
)
_TOOLS = ("search_flights", "get_weather", "book_hotel", "query_orders")
_USERS = ("u3", "u7", "u12", "u19")


@contextmanager
def make_demo_store() -> Iterator[Path]:
    """Give the path of a store with made-up data to the `with` block, and delete it afterwards."""
    with TemporaryDirectory(prefix="lupis-demo-") as folder:
        for run in _RUNS:
            _Recorder(folder, run).record_run()
        yield Path(folder) / FILE_NAME


class _Recorder:
    """Records the calls of a made-up launch."""

    def __init__(self, folder: str, run: DemoRun) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        self._random = Random(f"{_SEED}{run.id}")  # noqa: S311 - made-up data
        self._run = run
        resource = Resource(
            {
                _semconv.SERVICE_NAME: run.project,
                _semconv.LUPIS_PROJECT_ID: run.project,
                _semconv.LUPIS_RUN_ID: run.id,
            }
        )
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._tracer: Tracer = provider.get_tracer(_semconv.SCOPE)  # type: ignore[assignment]
        self._encoder = ItemEncoder(resource)
        process = Process(run.project, run.id, 4000, "demo", run.project, run.command)
        self._store = Store(folder, _MAX_STORE_BYTES, process)
        self._spans: list[ReadableSpan] = []
        self._events: list[dict[str, Any]] = []
        self._now = time_ns() - int(run.hours * 3600 * _SECOND)

    def record_run(self) -> None:
        """Store the spans and events of the launch."""
        for number in range(self._run.conversations):
            self._record_conversation(f"{self._run.project}-{number + 41}")
        self._store.add_items(self._encoder.encode_spans(self._spans))
        self._store.add_items(self._encoder.encode_events(self._events))
        self._store.database.close()

    def _record_conversation(self, chat: str) -> None:
        random = self._random
        model, user = random.choice(_MODELS), random.choice(_USERS)
        prompt = random.randint(900, 4000)
        for turn in range(random.randint(2, _TURNS)):
            self._record_turn(model, chat, user, prompt + turn * random.randint(200, 900), turn)
        self._events.append(
            {
                "name": random.choice(("answer_rated", "ticket_closed", "trip_booked")),
                "timestamp": self._now // 1_000_000,
                "properties": {"stars": random.randint(2, 5)},
                "metadata": {"chat_id": chat, "user_id": user},
            }
        )

    def _record_turn(self, model: DemoModel, chat: str, user: str, tokens: int, turn: int) -> None:
        from opentelemetry.trace import set_span_in_context

        random = self._random
        self._now += int(random.uniform(0.5, 25) * _SECOND)
        root = self._tracer.start_span(f"answer {chat}", start_time=self._now)
        context = set_span_in_context(root)
        common: dict[str, Any] = {_semconv.LUPIS_CHAT_ID: chat, _semconv.USER_ID: user}
        if random.random() < 0.12:  # noqa: PLR2004 - made-up data
            self._record_call(model, context, tokens, {**common, **_fail(random)})
            common[_semconv.HTTP_REQUEST_RESEND_COUNT] = 1
        cached = int(tokens * random.uniform(0.4, 0.85)) if turn else 0
        tool = random.choice(_TOOLS) if random.random() < 0.4 else None  # noqa: PLR2004
        if tool is not None:
            common[_semconv.LUPIS_RESPONSE_TOOLS] = (tool,)
        self._record_call(model, context, tokens, common, cached)
        if tool is not None:
            self._record_tool(tool, context)
        root.end(self._now)
        self._spans.append(root)  # type: ignore[arg-type]

    def _record_call(
        self,
        model: DemoModel,
        context: Any,
        tokens: int,
        facts: dict[str, Any],
        cached: int = 0,
    ) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        random = self._random
        failed = _semconv.ERROR_TYPE in facts
        seconds = model.seconds * random.uniform(0.3, 2.2) * (0.1 if failed else 1)
        attributes = {
            _semconv.GEN_AI_PROVIDER_NAME: model.provider,
            _semconv.GEN_AI_OPERATION_NAME: "chat",
            _semconv.GEN_AI_REQUEST_MODEL: model.name,
            _semconv.SERVER_ADDRESS: model.host,
            _semconv.HTTP_REQUEST_METHOD: "POST",
            _semconv.URL_FULL: f"https://{model.host}/v1/chat",
            _semconv.HTTP_RESPONSE_STATUS_CODE: 200,
            _semconv.LUPIS_REQUEST_FINGERPRINT: f"{random.randrange(90):012x}",
            **_report_limits(random),
            **facts,
        }
        if not failed:
            attributes.update(
                {
                    _semconv.GEN_AI_REQUEST_STREAM: True,
                    _semconv.GEN_AI_RESPONSE_MODEL: model.name,
                    _semconv.GEN_AI_RESPONSE_FINISH_REASONS: ("stop",),
                    _semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: seconds * 0.22,
                    _semconv.GEN_AI_USAGE_INPUT_TOKENS: tokens,
                    _semconv.GEN_AI_USAGE_CACHE_READ: cached,
                    _semconv.GEN_AI_USAGE_OUTPUT_TOKENS: random.randint(40, 900),
                }
            )
            add_cost(attributes, self._now)
        start = self._now + 20_000_000
        name = f"chat {model.name}"
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=start)
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        self._now = start + int(seconds * _SECOND)
        span.end(self._now)
        self._spans.append(span)  # type: ignore[arg-type]

    def _record_tool(self, tool: str, context: Any) -> None:
        attributes = {
            _semconv.GEN_AI_OPERATION_NAME: "execute_tool",
            _semconv.GEN_AI_TOOL_NAME: tool,
        }
        span = self._tracer.start_span(
            f"execute_tool {tool}", context, attributes=attributes, start_time=self._now
        )
        self._now += int(self._random.uniform(0.05, 1.2) * _SECOND)
        span.end(self._now)
        self._spans.append(span)  # type: ignore[arg-type]


def _fail(random: Random) -> dict[str, Any]:
    status = random.choice((429, 429, 429, 500, 529))
    code = "rate_limit_exceeded" if status == 429 else "server_error"  # noqa: PLR2004 - RFC 6585
    return {
        _semconv.ERROR_TYPE: str(status),
        _semconv.HTTP_RESPONSE_STATUS_CODE: status,
        _semconv.LUPIS_ERROR_CODE: code,
    }


def _report_limits(random: Random) -> dict[str, Any]:
    prefix = f"{_semconv.HTTP_RESPONSE_HEADER}x-ratelimit-"
    return {
        f"{prefix}limit-requests": ("500",),
        f"{prefix}remaining-requests": (str(random.randint(20, 499)),),
        f"{prefix}limit-tokens": ("200000",),
        f"{prefix}remaining-tokens": (str(random.randint(9_000, 199_000)),),
    }
