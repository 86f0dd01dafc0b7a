"""The attributes that the enrich stage reads from the request and the response of a call."""

import json

import pytest
from opentelemetry.trace import SpanKind, Status, StatusCode

from lupis_instrument._tracing.stages.enrich import STABLE_NAMES

KEY = "sk-proj-1234567890abcdef1234567890abcdef12345678"
OPENAI = "https://api.openai.com/v1/chat/completions"
OTHER_API = "https://other.example/v1/x"
NO_USAGE = {"id": "x", "model": "gpt-4o", "choices": []}
EVENT_STREAM = [("Content-Type", "text/event-stream")]


@pytest.fixture
def exported_call(tracked, export):
    """Makes one call, and returns its exported span."""

    def make(url=OPENAI, *, attributes=(), settings=(), **exchange):
        span = tracked.start_call(url, **dict(attributes))
        tracked.answer_call(span, url=url, **exchange)
        span.end()
        (exported,) = export(**dict(settings))
        return exported

    return make


class TestGenAi:
    """Attributes of LLM calls."""

    def test_an_llm_call_has_all_attributes(self, exported_call):
        """A JSON response has no attribute of a stream."""
        exported = exported_call(settings={"capture_headers": ()})
        attributes = {
            name: value
            for name, value in exported.attributes.items()
            if "cost" not in name  # prices change; test_enrich_cost.py has them
        }
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

    def test_each_kind_of_tokens_has_its_attribute(self, exported_call):
        """Cache writes have one: backends add up the attributes of tokens."""
        usage = {
            "input_tokens": 10,
            "output_tokens": 5,
            "cache_read_input_tokens": 4,
            "cache_creation_input_tokens": 3,
        }
        body = {"type": "message", "id": "m", "model": "claude-haiku-4-5", "usage": usage}
        attributes = exported_call("https://api.anthropic.com/v1/messages", body=body).attributes
        prefix = "gen_ai.usage."
        counts = {"input_tokens": 17, "output_tokens": 5, "cache_read.input_tokens": 4}
        assert {**counts, "cache_creation.input_tokens": 3} == {
            name[len(prefix) :]: value
            for name, value in attributes.items()
            if name.startswith(prefix) and name != prefix + "cost"
        }

    def test_counts_by_modality_are_of_this_package(self, exported_call):
        """Langfuse would add them up below `gen_ai.usage.`."""
        usage = {
            "prompt_tokens": 30,
            "completion_tokens": 9,
            "prompt_tokens_details": {"text_tokens": 10, "audio_tokens": 12, "image_tokens": 8},
            "completion_tokens_details": {"audio_tokens": 4},
        }
        attributes = exported_call(body={**NO_USAGE, "usage": usage}).attributes
        prefix = "lupis.usage."
        assert {
            "text.input_tokens": 10,
            "audio.input_tokens": 12,
            "image.input_tokens": 8,
            "audio.output_tokens": 4,
        } == {
            name[len(prefix) :]: value
            for name, value in attributes.items()
            if name.startswith(prefix) and "source" not in name
        }

    def test_the_cost_has_the_name_that_backends_read_too(self, exported_call):
        """It is in USD."""
        attributes = exported_call().attributes
        assert 0 < attributes["lupis.cost.total"] == attributes["gen_ai.usage.cost"]

    def test_parameters_of_the_request_are_recorded(self, exported_call):
        """One attribute for each, by the names of the conventions."""
        request = {
            "model": "gpt-4o",
            "temperature": 0,
            "n": 2,
            "stop": "END",
            "reasoning_effort": "high",
            "response_format": {"type": "json_schema", "json_schema": {"name": "PLANTED"}},
            "messages": [{"role": "user", "content": "PLANTED"}],
            "tools": [
                {"type": "function", "function": {"name": "search", "description": "PLANTED"}}
            ],
        }
        message = {
            "content": None,
            "tool_calls": [{"id": "c", "function": {"name": "search", "arguments": "PLANTED"}}],
        }
        body = {**NO_USAGE, "choices": [{"finish_reason": "tool_calls", "message": message}]}
        attributes = exported_call(request=request, body=body).attributes
        expected = {
            "gen_ai.request.temperature": 0.0,
            "gen_ai.request.choice.count": 2,
            "gen_ai.request.stop_sequences": ("END",),
            "gen_ai.request.reasoning.level": "high",
            "gen_ai.output.type": "json",
            "lupis.request.message_count": 1,
            "lupis.request.tool_count": 1,
            "lupis.request.tools": ("search",),
            "lupis.response.tools": ("search",),
        }
        assert expected == {name: attributes.get(name) for name in expected}
        assert "PLANTED" not in repr(dict(attributes))

    def test_a_stream_that_is_cut_off_has_the_finish_reason_error(self, exported_call):
        """It has given no reason itself."""
        attributes = exported_call(
            headers=EVENT_STREAM, body=b'data: {"id": "c", "choices": []}\n\n', outcome="error"
        ).attributes
        assert ("error",) == tuple(attributes["gen_ai.response.finish_reasons"])

    def test_an_error_has_its_code_as_status_message(self, exported_call):
        """Never its text, which may quote the prompt."""
        body = {"error": {"code": "context_length_exceeded", "message": "PLANTED"}}
        exported = exported_call(status=400, body=body)
        assert "context_length_exceeded" == exported.status.description

    def test_a_stream_has_the_finish_reason_and_usage_of_its_last_chunks(self, exported_call):
        """The attribute gen_ai.request.stream marks it."""
        chunks = [
            {"id": "c", "model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": "hi"}}]},
            {"id": "c", "model": "gpt-4o", "choices": [{"index": 0, "finish_reason": "length"}]},
            {"id": "c", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}},
        ]
        events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
        attributes = exported_call(
            request={"model": "gpt-4o", "stream": True},
            headers=EVENT_STREAM,
            body=f"{events}data: [DONE]\n\n".encode(),
        ).attributes
        assert True is attributes["gen_ai.request.stream"]
        assert ("length",) == tuple(attributes["gen_ai.response.finish_reasons"])
        assert (7, 2) == (
            attributes["gen_ai.usage.input_tokens"],
            attributes["gen_ai.usage.output_tokens"],
        )

    def test_a_call_without_usage_has_no_token_attributes(self, exported_call):
        """Unknown tokens are absent, not zero."""
        attributes = exported_call(body={"id": "x", "choices": []}).attributes
        assert [] == [name for name in attributes if "usage" in name]

    def test_a_call_to_another_host_has_http_attributes_only(self, exported_call):
        """It has no provider and no model, and keeps its name."""
        exported = exported_call("http://other.example:8080/x?y=1", status=204)
        assert "POST" == exported.name
        assert [] == [name for name in exported.attributes if name.startswith(("gen_ai", "lupis"))]
        assert ("other.example", 8080, 204) == tuple(
            exported.attributes[name]
            for name in ("server.address", "server.port", "http.response.status_code")
        )


class TestStableNames:
    """Attribute names of instrumentors that were set up without the stable conventions."""

    @pytest.mark.parametrize("old_name", STABLE_NAMES)
    def test_old_names_are_replaced(self, old_name, tracked, export):
        """The value moves to the stable name."""
        attributes = {old_name: "x"}
        tracked.tracer.start_span("GET", kind=SpanKind.CLIENT, attributes=attributes).end()
        (exported,) = export()
        assert "x" == exported.attributes[STABLE_NAMES[old_name]]
        assert old_name not in exported.attributes

    def test_a_stable_name_that_exists_keeps_its_value(self, tracked, export):
        """OTEL_SEMCONV_STABILITY_OPT_IN=http/dup makes instrumentors set both."""
        tracked.start_call(OTHER_API, **{"http.url": "old", "http.status_code": 200}).end()
        (exported,) = export()
        assert OTHER_API == exported.attributes["url.full"]


class TestHeaders:
    """Headers that LUPIS_CAPTURE_HEADERS selects."""

    REQUEST = (("X-Trace", "a"), ("Accept", "text/plain"), ("accept", "*/*"))
    RESPONSE = (("X-Request-Id", "r1"), ("Content-Type", "application/json"))

    @pytest.mark.parametrize(
        ("globs", "expected"),
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
    def test_globs_select_the_captured_headers(self, globs, expected, exported_call):
        """Case does not matter, and a header sent twice has two values."""
        attributes = exported_call(
            request_headers=self.REQUEST,
            headers=self.RESPONSE,
            settings={"capture_headers": globs},
        ).attributes
        captured = {name: tuple(attributes[name]) for name in attributes if ".header." in name}
        assert expected == captured

    def test_a_header_that_the_instrumentor_captured_is_not_doubled(self, exported_call):
        """OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST may name the same header."""
        name = "http.request.header.x-trace"
        exported = exported_call(
            attributes={name: ("a",)},
            request_headers=[("X-Trace", "a")],
        )
        assert ("a",) == tuple(exported.attributes[name])

    @pytest.mark.parametrize(
        ("lengths", "expected"),
        [(["12"], ("12",)), (["12, 12"], ("12, 12",)), (["12", "the diagnosis"], ("[…]",))],
    )
    def test_a_length_that_is_no_number_is_hidden(self, lengths, expected, exported_call):
        """A server with broken framing may send its answer there."""
        headers = [*self.RESPONSE, *(("Content-Length", length) for length in lengths)]
        attributes = exported_call(headers=headers).attributes
        assert expected == tuple(attributes["http.response.header.content-length"])

    def test_secrets_in_headers_are_redacted(self, exported_call):
        """The header itself is captured."""
        exported = exported_call(
            request_headers=[
                ("Authorization", f"Bearer {KEY}"),
                ("X-Api-Key", "plain"),
                ("X-Note", KEY),
            ],
            headers=[*self.RESPONSE, ("Set-Cookie", "a=b")],
        )
        text = exported.to_json()
        assert "http.request.header.authorization" in text
        assert [] == [secret for secret in (KEY, "plain", "a=b") if secret in text]


class TestErrors:
    """The error type and the status of a failed call."""

    @pytest.mark.parametrize(
        ("status", "error_type"),
        [(200, None), (302, None), (400, "400"), (429, "429"), (503, "503")],
    )
    def test_a_status_of_4xx_or_5xx_is_the_error_type(self, status, error_type, exported_call):
        """The span's status is an error then."""
        failure = {"error": {"type": "rate_limit", "message": "x"}}
        exported = exported_call(status=status, body=failure if error_type else NO_USAGE)
        assert error_type == exported.attributes.get("error.type")
        expected_status = StatusCode.ERROR if error_type else StatusCode.UNSET
        assert expected_status is exported.status.status_code

    @pytest.mark.parametrize(
        ("error", "word"),
        [
            ({"type": "tokens", "code": "rate_limit_exceeded"}, "rate_limit_exceeded"),
            ({"message": "the prompt"}, None),
        ],
    )
    def test_a_refused_call_has_the_word_of_the_provider(self, error, word, exported_call):
        """The status stays the error type, and no message becomes an attribute."""
        attributes = exported_call(status=429, body={"error": error}).attributes
        assert ("429", word) == (attributes["error.type"], attributes.get("lupis.error.code"))

    def test_an_error_inside_a_stream_is_an_error(self, exported_call):
        """It follows a status of 200, and its message is not exported."""
        body = b'data: {"error": {"type": "server_error", "message": "overloaded"}}\n\n'
        exported = exported_call(headers=EVENT_STREAM, body=body)
        assert "server_error" == exported.attributes["error.type"]
        assert StatusCode.ERROR is exported.status.status_code
        assert "overloaded" not in exported.to_json()

    def test_a_body_that_breaks_off_is_an_error(self, tracked, export):
        """The error type is the exception's type; its message is not exported."""
        span = tracked.start_call()
        http_call = tracked.http_call(span)
        http_call.begin_attempt("POST", OPENAI)
        body = http_call.begin_response(200, [], "1.1")
        body.end("error", ConnectionResetError("secret text"))
        span.end()
        (exported,) = export()
        assert "ConnectionResetError" == exported.attributes["error.type"]
        assert "error" == exported.attributes["lupis.response.outcome"]
        assert StatusCode.ERROR is exported.status.status_code
        assert "secret text" not in exported.to_json()

    @pytest.mark.parametrize("outcome", ["closed", "dropped"])
    def test_a_body_that_the_program_stops_reading_is_no_error(self, outcome, exported_call):
        """The usage that was read until then counts."""
        exported = exported_call(outcome=outcome)
        assert outcome == exported.attributes["lupis.response.outcome"]
        assert "error.type" not in exported.attributes
        assert 12 == exported.attributes["gen_ai.usage.input_tokens"]

    def test_a_call_without_a_response_has_the_type_of_its_exception(self, tracked, export):
        """Not all releases of the instrumentors set the error type themselves."""
        span = tracked.start_call()
        tracked.http_call(span).begin_attempt("POST", OPENAI)
        span.record_exception(TimeoutError())
        span.set_status(Status(StatusCode.ERROR))
        span.end()
        (exported,) = export()
        assert "TimeoutError" == exported.attributes["error.type"]

    def test_an_error_type_from_the_instrumentor_stays(self, exported_call):
        """The instrumentor saw the exception itself."""
        exported = exported_call(attributes={"error.type": "httpx.ReadTimeout"}, status=500)
        assert "httpx.ReadTimeout" == exported.attributes["error.type"]
