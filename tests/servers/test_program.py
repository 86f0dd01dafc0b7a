"""What the runner of programs checks in each of them."""

import pytest

MISUSES = {
    "a context left elsewhere": """
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
def test_a_program_whose_log_shows_a_misuse_fails_its_test(misuse, run):
    """Whatever the test itself looks at."""
    with pytest.raises(AssertionError, match=r"Failed to detach|Overriding of current"):
        run(MISUSES[misuse], launched=False)
