"""The name and the arguments of the process's span."""

import pytest

from lupis_instrument._tracing.root_span import name_program, redact_arguments


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("my_agent.py", "my_agent.py"),
        ("/srv/app/my_agent.py", "my_agent.py"),
        ("/srv/app/package/__main__.py", "package"),
        ("-c", "python -c"),
        ("", "python"),
    ],
)
def test_a_program_has_a_short_name(path, name):
    """Its file, or its package."""
    assert name == name_program(path)


def test_arguments_lose_their_values():
    """A value may be a prompt or a secret; a password may stand behind a short option."""
    arguments = ["/srv/a.py", "--model=x", "-v", "--fast", "-psecret", "--a b", "text", "-5", "-"]
    expected = ["a.py", "--model=[…]", "-v", "--fast", "[…]", "[…]", "[…]", "[…]", "[…]"]
    assert expected == redact_arguments(arguments)
