"""The stages of the pipeline, alone and in order."""

import json

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from lupis_instrument._llm.conversation.conversations import Conversations
from lupis_instrument._redaction import Redactor
from lupis_instrument._tracing import context as _context
from lupis_instrument._tracing.context import EMPTY, Conversation
from lupis_instrument._tracing.draft import Draft
from lupis_instrument._tracing.pipeline import Pipeline
from lupis_instrument._tracing.stages.chat_id import chat_id
from lupis_instrument._tracing.stages.dedup import dedup
from lupis_instrument._tracing.stages.enrich import STABLE_NAMES
from lupis_instrument._tracing.stages.redact import Redact, read_limits

KEY = "sk-proj-1234567890abcdef1234567890abcdef12345678"
OTHER = "https://other.example/v1/x"
RESOURCE = Resource({"service.name": "s"})
ANSWER = {"id": "x", "model": "gpt-4o", "choices": []}


def only(spans):
    """The one span that there is."""
    (span,) = spans
    return span


@pytest.fixture
def draft(tracked):
    """Makes the draft of an ended span."""

    def make(conversation=EMPTY, **attributes):
        with _context.use_conversation(conversation):
            span = tracked.start(OTHER, **attributes)
        span.end()
        return Draft(tracked.put.pop(), RESOURCE)

    return make


# dedup


def test_nested_spans_of_one_call_leave_as_the_outermost(tracked, export):
    """Be it httpx over aiohttp or requests over urllib3: one call is one span."""
    outer = tracked.start()
    inner = tracked.start(parent=outer)
    innermost = tracked.start(parent=inner)
    for span in (innermost, inner, outer):
        span.end()
    assert outer.get_span_context() == only(export()).context


def test_a_single_span_passes(draft):
    """As it is."""
    whole = draft()
    assert whole is dedup(whole)


# chat_id


def test_chat_id_and_metadata_are_stamped(draft):
    """Under our names and under those of the conventions."""
    conversation = Conversation("trip", "ada", "acme", "s1", {"plan": "pro", "seats": 3})
    stamped = chat_id(draft(conversation)).attributes
    assert {
        "lupis.chat.id": "trip",
        "lupis.chat.source": "code",
        "gen_ai.conversation.id": "trip",
        "user.id": "ada",
        "session.id": "s1",
        "lupis.metadata.user_id": "ada",
        "lupis.metadata.organization_id": "acme",
        "lupis.metadata.session_id": "s1",
        "lupis.metadata.plan": "pro",
        "lupis.metadata.seats": 3,
    } == {key: stamped[key] for key in stamped if not key.startswith(("http", "url"))}


def test_without_a_conversation_nothing_is_stamped(draft):
    """No empty attributes."""
    assert {"http.request.method", "url.full"} == set(chat_id(draft()).attributes)


def test_the_programs_own_attributes_stay(draft):
    """What it says of its users by the conventions' names wins."""
    conversation = Conversation("trip", "ada", None, "s1")
    own = {"user.id": "u", "session.id": "s", "gen_ai.conversation.id": "c"}
    stamped = chat_id(draft(conversation, **own)).attributes
    assert own == {key: stamped[key] for key in own}


class Hostile:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 2], "[1, 2]"),
        (None, "None"),
        (2**80, str(2**80)),
        (2**62, 2**62),
        (True, True),
        (Hostile(), "[Hostile]"),
    ],
    ids=["list", "none", "huge", "big", "bool", "hostile"],
)
def test_extras_become_what_an_attribute_can_hold(value, expected, draft):
    """OTLP's integers have 64 bits; a faulty __repr__ costs only its own value."""
    stamped = chat_id(draft(Conversation(extra={"it": value}))).attributes
    assert expected == stamped["lupis.metadata.it"]


# enrich


def test_an_llm_call_is_told_in_full(tracked, export):
    """Everything that 5-telemetry's table asks of a JSON answer."""
    span = tracked.start()
    tracked.answer(span)
    span.end()
    exported = only(export(capture_headers=()))
    attributes = {
        name: value
        for name, value in exported.attributes.items()
        if not name.startswith("lupis.cost.")  # prices change; their own tests know them
    }
    assert 0 < attributes.pop("gen_ai.response.time_to_first_chunk") < 60
    assert ("chat gpt-4o", SpanKind.CLIENT) == (exported.name, exported.kind)
    assert {
        "http.request.method": "POST",
        "url.full": "https://api.openai.com/v1/chat/completions",
        "server.address": "api.openai.com",
        "server.port": 443,
        "network.protocol.version": "1.1",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.stream": False,
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "lupis.usage.total_tokens": 15,
        "lupis.usage.source": "reported",
        "lupis.response.chunks": 1,
        "lupis.response.outcome": "complete",
    } == attributes


def test_all_kinds_of_tokens_have_their_names(tracked, export):
    """Writing to a cache has two: one of the conventions of today, one that backends still read."""
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 3,
    }
    url = "https://api.anthropic.com/v1/messages"
    body = {"type": "message", "id": "m", "model": "claude-haiku-4-5", "usage": usage}
    span = tracked.start(url)
    tracked.answer(span, url=url, body=body)
    span.end()
    counted = only(export()).attributes
    assert {"read": 4, "write": 3, "creation": 3, "in": 17, "out": 5} == {
        "read": counted["gen_ai.usage.cache_read.input_tokens"],
        "write": counted["gen_ai.usage.cache_write.input_tokens"],
        "creation": counted["gen_ai.usage.cache_creation.input_tokens"],
        "in": counted["gen_ai.usage.input_tokens"],
        "out": counted["gen_ai.usage.output_tokens"],
    }


def test_a_stream_says_so(tracked, export):
    """And has the finish reason and usage of its last pieces."""
    chunks = [
        {"id": "c", "model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": "hi"}}]},
        {"id": "c", "model": "gpt-4o", "choices": [{"index": 0, "finish_reason": "length"}]},
        {"id": "c", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}},
    ]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    span = tracked.start()
    tracked.answer(
        span,
        request={"model": "gpt-4o", "stream": True},
        headers=[("Content-Type", "text/event-stream")],
        body=body.encode(),
    )
    span.end()
    told = only(export()).attributes
    assert True is told["gen_ai.request.stream"]
    assert ("length",) == tuple(told["gen_ai.response.finish_reasons"])
    assert (7, 2) == (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"])


def test_a_call_without_usage_has_no_tokens(tracked, export):
    """Absent, not zero."""
    span = tracked.start()
    tracked.answer(span, body={"id": "x", "choices": []})
    span.end()
    told = only(export()).attributes
    assert [] == [name for name in told if "usage" in name]


def test_other_calls_get_http_attributes_only(tracked, export):
    """No provider, no model, and their own name."""
    span = tracked.start("http://other.example:8080/x?y=1")
    tracked.answer(span, url="http://other.example:8080/x?y=1", status=204)
    span.end()
    exported = only(export())
    assert "POST" == exported.name
    assert [] == [name for name in exported.attributes if name.startswith(("gen_ai", "lupis"))]
    assert ("other.example", 8080, 204) == tuple(
        exported.attributes[name]
        for name in ("server.address", "server.port", "http.response.status_code")
    )


@pytest.mark.parametrize("old", STABLE_NAMES)
def test_old_names_become_the_stable_ones(old, tracked, export):
    """Whatever the instrumentor was set up for."""
    span = tracked.tracer.start_span("GET", kind=SpanKind.CLIENT, attributes={old: "x"})
    span.end()
    told = only(export()).attributes
    assert ("x", False) == (told[STABLE_NAMES[old]], old in told)


def test_a_stable_name_that_is_there_already_stays(tracked, export):
    """With OTEL_SEMCONV_STABILITY_OPT_IN=http/dup both are."""
    span = tracked.start(OTHER, **{"http.url": "old", "http.status_code": 200})
    span.end()
    assert OTHER == only(export()).attributes["url.full"]


REQUEST_HEADERS = [("X-Trace", "a"), ("Accept", "text/plain"), ("accept", "*/*")]
RESPONSE_HEADERS = [("X-Request-Id", "r1"), ("Content-Type", "application/json")]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (
            ["*"],
            {
                "http.request.header.x-trace": ("a",),
                "http.request.header.accept": ("text/plain", "*/*"),
                "http.response.header.x-request-id": ("r1",),
                "http.response.header.content-type": ("application/json",),
            },
        ),
        ([], {}),
        (["accept"], {"http.request.header.accept": ("text/plain", "*/*")}),
        (
            ["X-*"],
            {
                "http.request.header.x-trace": ("a",),
                "http.response.header.x-request-id": ("r1",),
            },
        ),
    ],
    ids=["all", "none", "name", "glob"],
)
def test_headers_are_captured_as_asked(wanted, expected, tracked, export):
    """By names and globs in any case; a header sent twice is a list of two."""
    span = tracked.start()
    tracked.answer(span, request_headers=REQUEST_HEADERS, headers=RESPONSE_HEADERS)
    span.end()
    told = only(export(capture_headers=wanted)).attributes
    found = {name: tuple(told[name]) for name in told if ".header." in name}
    assert expected == found


def test_headers_that_upstream_captured_are_not_doubled(tracked, export):
    """OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST may name the same."""
    span = tracked.start(**{"http.request.header.x-trace": ("a",)})
    tracked.answer(span, request_headers=[("X-Trace", "a")])
    span.end()
    assert ("a",) == tuple(only(export()).attributes["http.request.header.x-trace"])


def test_secrets_in_headers_do_not_leave(tracked, export):
    """Authorization and the like are captured, and hidden."""
    span = tracked.start()
    sent = [("Authorization", f"Bearer {KEY}"), ("X-Api-Key", "plain"), ("X-Note", KEY)]
    tracked.answer(span, request_headers=sent, headers=[*RESPONSE_HEADERS, ("Set-Cookie", "a=b")])
    span.end()
    text = only(export()).to_json()
    assert "http.request.header.authorization" in text
    assert [] == [secret for secret in (KEY, "plain", "a=b") if secret in text]


# errors


@pytest.mark.parametrize(
    ("status", "expected"), [(200, None), (302, None), (400, "400"), (429, "429"), (503, "503")]
)
def test_a_failing_status_is_the_error_type(status, expected, tracked, export):
    """4xx and 5xx are a client's errors; the span's status says so too."""
    span = tracked.start()
    failure = {"error": {"type": "rate_limit", "message": "x"}}
    tracked.answer(span, status=status, body=failure if expected else ANSWER)
    span.end()
    exported = only(export())
    assert expected == exported.attributes.get("error.type")
    wanted = StatusCode.ERROR if expected else StatusCode.UNSET
    assert wanted is exported.status.status_code


def test_an_error_inside_a_stream_is_an_error(tracked, export):
    """It comes after the 200."""
    body = b'data: {"error": {"type": "server_error", "message": "overloaded"}}\n\n'
    span = tracked.start()
    tracked.answer(span, headers=[("Content-Type", "text/event-stream")], body=body)
    span.end()
    exported = only(export())
    assert "server_error" == exported.attributes["error.type"]
    assert StatusCode.ERROR is exported.status.status_code
    assert "overloaded" not in exported.to_json()


def test_a_body_that_breaks_off_is_an_error(tracked, export):
    """Named for what the program got."""
    span = tracked.start()
    http_call = tracked.http_call(span)
    http_call.begin_attempt("POST", "https://api.openai.com/v1/chat/completions")
    http_call.begin_response(200, [], "1.1").end("error", ConnectionResetError("secret text"))
    span.end()
    exported = only(export())
    assert "ConnectionResetError" == exported.attributes["error.type"]
    assert "error" == exported.attributes["lupis.response.outcome"]
    assert StatusCode.ERROR is exported.status.status_code
    assert "secret text" not in exported.to_json()


@pytest.mark.parametrize("outcome", ["closed", "dropped"])
def test_a_body_left_early_is_no_error(outcome, tracked, export):
    """The program wanted no more of it."""
    span = tracked.start()
    tracked.answer(span, outcome=outcome)
    span.end()
    exported = only(export())
    assert outcome == exported.attributes["lupis.response.outcome"]
    assert "error.type" not in exported.attributes
    assert 12 == exported.attributes["gen_ai.usage.input_tokens"]


def test_a_call_without_an_answer_has_its_exceptions_type(tracked, export):
    """Upstream records the exception; not all its releases name the type."""
    span = tracked.start()
    tracked.http_call(span).begin_attempt("POST", "https://api.openai.com/v1/chat/completions")
    span.record_exception(TimeoutError())
    span.set_status(Status(StatusCode.ERROR))
    span.end()
    assert "TimeoutError" == only(export()).attributes["error.type"]


def test_an_instrumentors_own_error_type_stays(tracked, export):
    """It knows better."""
    span = tracked.start(**{"error.type": "httpx.ReadTimeout"})
    tracked.answer(span, status=500)
    span.end()
    assert "httpx.ReadTimeout" == only(export()).attributes["error.type"]


# redact


def loaded_span(tracked):
    """A span with a secret in every place that can hold text."""
    link = Link(SpanContext(1, 2, is_remote=False), {"link": KEY})
    span = tracked.tracer.start_span(
        f"name {KEY}",
        kind=SpanKind.CLIENT,
        attributes={
            "text": f"a {KEY} b",
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


def texts(span):
    """All that a span says."""
    links = [dict(link.attributes) for link in span.links]
    events = [(event.name, dict(event.attributes)) for event in span.events]
    own = [span.name, dict(span.attributes), span.status.description]
    return repr([*own, events, links, dict(span.resource.attributes)])


def test_no_text_leaves_unfiltered(tracked):
    """Name, attributes and their names, events, links, status and resource."""
    loaded_span(tracked)
    resource = Resource({"deployment.note": KEY})
    pipeline = Pipeline(last=Redact(Redactor()), resource=resource)
    (span,) = tracked.run(pipeline)
    assert "hunter22222" not in texts(span)
    assert KEY[10:-4] not in texts(span)
    assert ("plain", 2, 1) == (span.attributes["list"][1], len(span.events), len(span.links))


@pytest.mark.parametrize(
    "variable", ["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"]
)
def test_a_secret_cut_by_a_limit_does_not_leave(variable, tracked, monkeypatch):
    """OpenTelemetry cuts values before they are filtered; no rule knows a key by its beginning."""
    key = "AIzaSy7hQ2mZx9Kp4LwR8sTb3NvY6cJd1GfA5eU"
    cut = f"key: {key}"[:-1]
    monkeypatch.setenv(variable, str(len(cut)))
    tracked.tracer.start_span("cut", attributes={"a": cut, "b": (cut, "c1"), "d": "e9"}).end()
    last = Redact(Redactor(), read_limits())
    (span,) = tracked.run(Pipeline(last=last, resource=RESOURCE))
    assert {"a": "key: ", "b": ("key: ", "c1"), "d": "e9"} == dict(span.attributes)


def test_wrong_limits_are_no_limits(monkeypatch):
    """OpenTelemetry's provider refuses them; what else is filtered must not fail for it."""
    assert frozenset() == read_limits()
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "abc")
    assert frozenset() == read_limits()


def test_the_schema_of_a_resource_is_a_text_too(tracked):
    """Its address may carry a password."""
    tracked.tracer.start_span("any").end()
    resource = Resource({}, "https://u:hunter22222@h/schema")
    (span,) = tracked.run(Pipeline(last=Redact(Redactor()), resource=resource))
    assert "hunter22222" not in span.resource.schema_url


def test_filtering_can_be_switched_off(tracked):
    """Then everything leaves as it is."""
    loaded_span(tracked)
    (span,) = tracked.run(Pipeline(last=Redact(None), resource=RESOURCE))
    assert 10 <= texts(span).count(KEY)


def test_the_programs_own_span_is_not_edited(tracked):
    """Another exporter of the program sees what the program wrote."""
    source = loaded_span(tracked)
    tracked.run(Pipeline(last=Redact(Redactor()), resource=RESOURCE))
    assert f"a {KEY} b" == source.attributes["text"]


class Failing:
    """A filter that fails at its nth use, in one of its ways."""

    def __init__(self, at):
        self.left = at

    def _use(self, value):
        if not self.left:
            raise RuntimeError(KEY)
        self.left -= 1
        return value

    def redact_text(self, value):
        return self._use(value)

    def redact_attributes(self, value):
        return self._use(dict(value))


@pytest.mark.parametrize("at", range(11))
def test_a_filter_that_fails_anywhere_lets_nothing_through(at, tracked, capsys):
    """The span leaves without any text, and one line says so without quoting it."""
    loaded_span(tracked)
    (span,) = tracked.run(Pipeline(last=Redact(Failing(at)), resource=RESOURCE))
    assert ("[REDACTED]", {}, (), ()) == (span.name, dict(span.attributes), span.events, span.links)
    assert (None, {}) == (span.status.description, dict(span.resource.attributes))
    assert StatusCode.ERROR is span.status.status_code
    said = capsys.readouterr().err
    assert KEY not in said


def test_the_failing_filter_was_asked_for_everything(tracked):
    """So that the test above has failed in each place."""
    loaded_span(tracked)
    filters = Failing(100)
    tracked.run(Pipeline(last=Redact(filters), resource=RESOURCE))
    assert 11 == 100 - filters.left


@pytest.mark.parametrize("attributes", [None, {"note": KEY, "token": "abcdefghijkl"}])
def test_scopes_are_filtered(tracked, export, attributes):
    """What the program calls itself where it asks for a tracer, its schema's address included."""
    try:
        tracer = tracked.provider.get_tracer(f"app {KEY}", KEY, f"https://h/?k={KEY}", attributes)
    except TypeError:
        pytest.skip("this SDK's scopes have no attributes")
    tracer.start_span("own").end()
    scope = only(export()).instrumentation_scope
    assert "app sk-p***5678" == scope.name
    assert [] == [text for text in (KEY, "abcdefghijkl") if text in repr(scope.to_json())]


# in order


def test_redaction_sees_what_the_other_stages_add(tracked, export):
    """A chat id may hold a secret, and so may a model's name."""
    with _context.use_conversation(Conversation(f"chat {KEY}", extra={"token": "abcdefghijkl"})):
        span = tracked.start()
    tracked.answer(span, request={"model": KEY}, body={"id": KEY, "model": KEY, "choices": []})
    span.end()
    assert [] == [text for text in (KEY, "abcdefghijkl") if text in texts(only(export()))]


def test_a_stage_that_fails_leaves_the_others_working(tracked, capsys):
    """The span leaves without what that stage would have added."""

    def broken(draft):
        raise RuntimeError(KEY)

    def mark(draft):
        draft.attributes["marked"] = KEY
        return draft

    tracked.start(OTHER).end()
    stages = Pipeline(broken, mark, last=Redact(Redactor()), resource=RESOURCE)
    (span,) = tracked.run(stages)
    assert "sk-p***5678" == span.attributes["marked"]
    said = capsys.readouterr().err
    assert "stage failed (RuntimeError" in said
    assert KEY not in said


def test_a_stage_that_drops_a_span_ends_its_way(tracked):
    """Those after it don't see it."""
    seen = []
    tracked.start(OTHER).end()
    pipeline = Pipeline(lambda draft: None, seen.append, last=Redact(None), resource=RESOURCE)
    assert ([], []) == (tracked.run(pipeline), seen)


def test_what_leaves_is_the_span_but_for_the_edits(tracked, export):
    """Ids, parent, kind, times and scope are kept; the resource is ours."""
    parent = tracked.tracer.start_span("parent")
    span = tracked.start(OTHER, parent=parent)
    span.end()
    exported = only(export())
    for part in ("context", "parent", "kind", "start_time", "end_time", "instrumentation_scope"):
        assert getattr(span, part) == getattr(exported, part), part
    assert {"service.name": "s"} == dict(exported.resource.attributes)


# derive


@pytest.fixture
def chat_ids(tracked, pipeline):
    """Makes calls with these request bodies; gives chat id and source of each span."""

    def make(*requests, status=200, **settings):
        for request in requests:
            span = tracked.start()
            tracked.answer(span, request=request, status=status)
            span.end()
        stages = pipeline(conversations=Conversations(lambda: b"key"), **settings)
        attributes = [span.attributes for span in tracked.run(stages)]
        return [(each.get("lupis.chat.id"), each.get("lupis.chat.source")) for each in attributes]

    return make


def said(*texts):
    """A request whose turns are the user's and the assistant's."""
    roles = ("user", "assistant") * len(texts)
    return {"messages": [{"role": role, "content": text} for role, text in zip(roles, texts)]}


def test_calls_of_a_growing_list_share_a_derived_id(chat_ids):
    """Where no chat id is in force."""
    first, other, second = chat_ids(said("hi"), said("hello"), said("hi", "a", "more"))
    assert (first, "derived") == (second, first[1])
    assert other[0] not in {None, first[0]}


def test_a_chat_id_in_force_wins(chat_ids):
    """The program knows better."""
    with _context.use_conversation(Conversation("trip")):
        assert [("trip", "code")] == chat_ids({**said("hi"), "conversation": "conv_1"})


def test_a_failed_call_is_the_same_as_its_retry(chat_ids):
    """Each is a span of its own, in one conversation; the same list again is another's."""
    assert 1 == len(set(chat_ids(said("hi"), said("hi"), status=429)))
    assert 2 == len(set(chat_ids(said("hello"), said("hello"))[2:]))


def test_derived_ids_can_be_switched_off(chat_ids):
    """LUPIS_AUTO_CHAT_ID=false."""
    assert [(None, None)] == chat_ids(said("hi"), auto_chat_id=False)


def test_a_fault_in_deriving_costs_the_chat_id_only(tracked, pipeline, capsys):
    """The span leaves all the same."""

    def fail():
        raise ZeroDivisionError

    span = tracked.start()
    tracked.answer(span, request=said("hi"))
    span.end()
    (exported,) = tracked.run(pipeline(conversations=Conversations(fail)))
    assert "chat gpt-4o-2024-08-06" == exported.name
    assert "lupis.chat.id" not in exported.attributes
    assert "the derive stage failed (ZeroDivisionError" in capsys.readouterr().err
