"""The pipeline: stages in order, faults of a stage, and the span that comes out."""

import pytest
from opentelemetry.sdk.resources import Resource

from lupis_instrument._redaction import Redactor
from lupis_instrument._tracing import context as call_context
from lupis_instrument._tracing.context import Conversation
from lupis_instrument._tracing.pipeline import Draft, Pipeline
from lupis_instrument._tracing.stages.redact import SpanRedactor

KEY = "sk-proj-1234567890abcdef1234567890abcdef12345678"
OTHER_API = "https://other.example/v1/x"
RESOURCE = Resource({"service.name": "s"})


def make_pipeline(redactor=None, **stages):
    """Returns a pipeline with these stages."""
    return Pipeline(stages, redact=SpanRedactor(redactor), resource=RESOURCE)


def mark(draft):
    """A stage that adds an attribute with a secret."""
    draft.attributes["marked"] = KEY
    return draft


def test_redaction_sees_the_attributes_of_the_other_stages(tracked, export):
    """A chat id may contain a secret, and so may a model's name."""
    conversation = Conversation(f"chat {KEY}", extra={"token": "abcdefghijkl"})
    with call_context.use_conversation(conversation):
        span = tracked.start_call()
    body = {"id": KEY, "model": KEY, "choices": []}
    tracked.answer_call(span, request={"model": KEY}, body=body)
    span.end()
    (exported,) = export()
    assert [] == [secret for secret in (KEY, "abcdefghijkl") if secret in exported.to_json()]


def test_stages_run_in_order(tracked):
    """Each one gets the draft that the one before returned."""
    calls = []

    def note(name):
        def stage(draft):
            calls.append(name)
            return draft

        return stage

    tracked.start_call(OTHER_API).end()
    tracked.run_pipeline(make_pipeline(first=note("first"), second=note("second")))
    assert ["first", "second"] == calls


def test_a_stage_that_fails_is_skipped(tracked, capsys):
    """The others run, and the report names the stage without its error's text."""

    def fail(draft):
        raise RuntimeError(KEY)

    tracked.start_call(OTHER_API).end()
    (span,) = tracked.run_pipeline(make_pipeline(Redactor(), broken=fail, mark=mark))
    assert "sk-p***5678" == span.attributes["marked"]
    message = capsys.readouterr().err
    assert "the broken stage failed (RuntimeError" in message
    assert KEY not in message


def test_a_stage_can_drop_a_span(tracked):
    """The stages after it do not see it."""
    drafts = []
    tracked.start_call(OTHER_API).end()
    pipeline = make_pipeline(drop=lambda draft: None, collect=drafts.append)
    assert ([], []) == (tracked.run_pipeline(pipeline), drafts)


def test_the_exported_span_differs_by_the_edits_only(tracked, export):
    """Ids, parent, kind, times and scope are the same; the resource is the pipeline's."""
    parent = tracked.tracer.start_span("parent")
    span = tracked.start_call(OTHER_API, parent=parent)
    span.end()
    (exported,) = export()
    for field in ("context", "parent", "kind", "start_time", "end_time", "instrumentation_scope"):
        assert getattr(span, field) == getattr(exported, field), field
    assert {"service.name": "s"} == dict(exported.resource.attributes)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "renamed"),
        ("attributes", {"a": 1}),
        ("events", ()),
        ("links", ()),
        ("resource", Resource({"other": 1})),
    ],
)
def test_an_edit_of_a_draft_changes_the_built_span(field, value, tracked):
    """The finished span stays as it is."""
    span = tracked.start_call(OTHER_API)
    span.add_event("event")
    span.end()
    draft = Draft(tracked.queued.pop(), RESOURCE)
    setattr(draft, field, value)
    assert value == getattr(draft.build_span(), field)
    assert value != getattr(span, field) or field == "links"
