"""The runner fails the test of a program that misuses OpenTelemetry."""

import pytest

MISUSES = {
    "a context detached in another context": """
        import contextvars
        from opentelemetry import context
        token = contextvars.copy_context().run(context.attach, {})
        context.detach(token)
        """,
    "a second provider": """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        for _ in range(2):
            trace.set_tracer_provider(TracerProvider())
        """,
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_a_misuse_in_the_log_fails_the_test(misuse, run):
    """The runner reads the log itself; the test does not have to look."""
    with pytest.raises(AssertionError, match=r"Failed to detach|Overriding of current"):
        run(MISUSES[misuse], launched=False)
