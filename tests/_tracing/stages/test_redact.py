"""The redact stage: no text is exported unfiltered, and none at all if the filter fails."""

import linecache

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from lupis_instrument._redaction import Redactor
from lupis_instrument._redaction.exception_text import ExceptionFilter
from lupis_instrument._tracing.pipeline import Pipeline
from lupis_instrument._tracing.stages.redact import SpanRedactor, read_length_limits

KEY = "sk-proj-1234567890abcdef1234567890abcdef12345678"
RESOURCE = Resource({"service.name": "s"})
FILTER_CALLS = 11
"""Uses of the filter for the span of `end_span_with_secrets`."""


def end_span_with_secrets(tracked):
    """Ends a span with a secret in every field that can hold text."""
    link = Link(SpanContext(1, 2, is_remote=False), {"link": KEY})
    span = tracked.tracer.start_span(
        f"name {KEY}",
        kind=SpanKind.CLIENT,
        attributes={
            "note": f"a {KEY} b",
            "list": (KEY, "plain"),
            "password": "hunter22222",
            "url.full": f"https://a.example/?api_key={KEY}",
            KEY: "named by a secret",
        },
        links=[link],
    )
    span.add_event(f"event {KEY}", {"event": KEY})
    span.record_exception(ValueError(f"bad key {KEY}"))
    span.set_status(Status(StatusCode.ERROR, f"status {KEY}"))
    span.end()
    return span


def all_texts(span):
    """Returns every text of a span in one."""
    links = [dict(link.attributes) for link in span.links]
    events = [(event.name, dict(event.attributes)) for event in span.events]
    fields = [span.name, dict(span.attributes), span.status.description]
    return repr([*fields, events, links, dict(span.resource.attributes)])


@pytest.fixture
def redact_span(tracked):
    """Returns the one queued span as a pipeline with only this stage exports it."""

    def run(redactor, resource=RESOURCE, cut_lengths=()):
        redact = SpanRedactor(redactor, cut_lengths)
        (span,) = tracked.run_pipeline(Pipeline({}, redact=redact, resource=resource))
        return span

    return run


def test_every_text_is_filtered(tracked, redact_span):
    """Name, attributes and their names, events, links, status and resource."""
    end_span_with_secrets(tracked)
    span = redact_span(Redactor(), Resource({"deployment.note": KEY}))
    assert "hunter22222" not in all_texts(span)
    assert KEY[10:-4] not in all_texts(span)
    assert ("plain", 2, 1) == (span.attributes["list"][1], len(span.events), len(span.links))


@pytest.mark.parametrize(
    "variable", ["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"]
)
def test_the_beginning_of_a_secret_is_removed(variable, tracked, monkeypatch, redact_span):
    """OpenTelemetry cuts values before the filter, and no rule recognizes a part of a key."""
    key = "AIzaSy7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eU"
    cut = f"key: {key}"[:-1]
    monkeypatch.setenv(variable, str(len(cut)))
    tracked.tracer.start_span("cut", attributes={"a": cut, "b": (cut, "c1"), "d": "e9"}).end()
    span = redact_span(Redactor(), cut_lengths=read_length_limits())
    assert {"a": "key: ", "b": ("key: ", "c1"), "d": "e9"} == dict(span.attributes)


def test_invalid_length_limits_count_as_none(monkeypatch):
    """OpenTelemetry's provider reports them, and the stage filters all the same."""
    assert frozenset() == read_length_limits()
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "abc")
    assert frozenset() == read_length_limits()


def test_the_schema_url_of_a_resource_is_filtered(tracked, redact_span):
    """The URL may contain a password."""
    tracked.tracer.start_span("any").end()
    span = redact_span(Redactor(), Resource({}, "https://u:hunter22222@h/schema"))
    assert "hunter22222" not in span.resource.schema_url


def test_a_span_with_a_trace_state_starts_no_thread(tracked, redact_span, monkeypatch):
    """The SDK detects a missing resource in threads, and at the end of Python none starts."""

    def detect(*_):
        raise RuntimeError

    monkeypatch.setattr(Resource, "create", detect)
    parent = SpanContext(1, 2, True, TraceFlags(1), TraceState([("vendor", "x")]))
    context = trace.set_span_in_context(trace.NonRecordingSpan(parent))
    tracked.tracer.start_span("any", context).end()
    assert "any" == redact_span(Redactor()).name


def test_without_a_filter_every_text_stays(tracked, redact_span):
    """LUPIS_FILTER_SENSITIVE_DATA=false switches the filter off, except for exceptions."""
    end_span_with_secrets(tracked)
    assert 8 == all_texts(redact_span(None)).count(KEY)


def test_the_span_of_the_program_is_not_edited(tracked, redact_span):
    """Another exporter of the program sees its own text."""
    source = end_span_with_secrets(tracked)
    redact_span(Redactor())
    assert f"a {KEY} b" == source.attributes["note"]


@pytest.mark.parametrize("attributes", [None, {"note": KEY, "token": "abcdefghijkl"}])
def test_scopes_are_filtered(tracked, export, attributes):
    """Name, version, schema URL and attributes that the program passed to `get_tracer`."""
    try:
        tracer = tracked.provider.get_tracer(f"app {KEY}", KEY, f"https://h/?k={KEY}", attributes)
    except TypeError:
        pytest.skip("this SDK's scopes have no attributes")
    tracer.start_span("own").end()
    (span,) = export()
    scope = span.instrumentation_scope
    assert "app sk-p***5678" == scope.name
    assert [] == [secret for secret in (KEY, "abcdefghijkl") if secret in repr(scope.to_json())]


CONTENT = "PLANTED the diagnosis is gout"


def end_span_with_content(tracked, content=CONTENT):
    """Ends a span with a content in every field that describes an exception."""
    attributes = {"exception.message": content, "exception.stacktrace": f"{content}: x"}
    link = Link(SpanContext(1, 2, is_remote=False), attributes)
    span = tracked.tracer.start_span("work", attributes=attributes, links=[link])
    span.add_event("log", attributes)
    try:
        raise ValueError(f"{content}: timed out")  # noqa: TRY301
    except ValueError as error:
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, f"ValueError: {error}"))
    span.end()


@pytest.mark.parametrize("redactor", [Redactor(), None])
def test_exceptions_have_no_content(redactor, tracked, redact_span):
    """Also where LUPIS_FILTER_SENSITIVE_DATA=false keeps secrets."""
    end_span_with_content(tracked)
    span = redact_span(redactor)
    assert "PLANTED" not in all_texts(span)
    assert "ValueError: […] timed out" == span.status.description


def test_stack_traces_have_files_lines_and_functions(tracked, redact_span):
    """`linecache` still lists the files that `traceback` has read."""
    end_span_with_content(tracked)
    trace = redact_span(None).events[1].attributes["exception.stacktrace"]
    line = end_span_with_content.__code__.co_firstlineno + 7
    assert f'  File "{__file__}", line {line}, in end_span_with_content' == trace.split("\n")[1]
    assert "raise" not in trace


def test_a_setting_keeps_the_lines_of_source_code(tracked, export):
    """They show the statement of each frame, and may quote prompts."""
    end_span_with_content(tracked)
    (span,) = export(stacktrace_source=True)
    trace = span.events[1].attributes["exception.stacktrace"]
    assert '    raise ValueError(f"{content}: timed out")' in trace.split("\n")[2]


def test_frames_in_unknown_files_are_hidden(tracked, redact_span, monkeypatch):
    """Without the list of files, stack traces lose the files and nothing else fails."""
    end_span_with_content(tracked)
    monkeypatch.delattr(linecache, "cache")
    trace = redact_span(None).events[1].attributes["exception.stacktrace"]
    assert ["  File […]", "ValueError: […] timed out"] == trace.split("\n")[1:]


@pytest.mark.parametrize("redactor", [Redactor(), None])
def test_a_failure_with_an_exception_removes_every_text(
    redactor, tracked, capsys, redact_span, monkeypatch
):
    """The report on stderr does not quote the text either."""

    def fail(*_):
        raise RuntimeError(CONTENT)

    monkeypatch.setattr(ExceptionFilter, "filter_attributes", fail)
    end_span_with_content(tracked)
    span = redact_span(redactor)
    assert ("[REDACTED]", {}, (), ()) == (span.name, dict(span.attributes), span.events, span.links)
    assert "PLANTED" not in all_texts(span) + capsys.readouterr().err


class FailingFilter:
    """A filter that works for a number of uses and fails at the next one."""

    def __init__(self, uses):
        self.uses_left = uses

    def _use(self, value):
        if not self.uses_left:
            raise RuntimeError(KEY)
        self.uses_left -= 1
        return value

    def redact_text(self, value):
        return self._use(value)

    def redact_attributes(self, value):
        return self._use(dict(value))


@pytest.mark.parametrize("uses", range(FILTER_CALLS))
def test_a_filter_that_fails_at_any_use_removes_every_text(uses, tracked, capsys, redact_span):
    """The report on stderr does not quote the text either."""
    end_span_with_secrets(tracked)
    span = redact_span(FailingFilter(uses))
    assert ("[REDACTED]", {}, (), ()) == (span.name, dict(span.attributes), span.events, span.links)
    assert (None, {}) == (span.status.description, dict(span.resource.attributes))
    assert StatusCode.ERROR is span.status.status_code
    assert KEY not in capsys.readouterr().err


def test_the_filter_is_used_once_for_each_field(tracked, redact_span):
    """So the test above lets it fail at every use."""
    end_span_with_secrets(tracked)
    failing_filter = FailingFilter(100)
    redact_span(failing_filter)
    assert FILTER_CALLS == 100 - failing_filter.uses_left
