"""What the variables say to the bootstrap; what it does is tested in processes of their own."""

import os

import pytest

from lupis_instrument import _bootstrap

FOLDER = "/ours"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, True),
        ({"LUPIS_ENABLED": "true"}, True),
        ({"LUPIS_ENABLED": "false"}, False),
        ({"LUPIS_ENABLED": " OFF "}, False),
        ({"LUPIS_ENABLED": "0"}, False),
        ({"LUPIS_ENABLED": "no"}, False),
        ({"LUPIS_ENABLED": "perhaps"}, True),
        ({"LUPIS_ENABLED": ""}, True),
        ({"LUPIS_SDK_ENABLED": "false"}, False),
        ({"LUPIS_ENABLED": "true", "LUPIS_SDK_ENABLED": "false"}, True),
        ({"LUPIS_ENABLED": "false", "LUPIS_SDK_ENABLED": "true"}, False),
        ({"LUPIS_ENABLED": "perhaps", "LUPIS_SDK_ENABLED": "false"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_SDK_DISABLED": "1"}, True),
        ({"OTEL_SDK_DISABLED": "true", "LUPIS_ENABLED": "true"}, False),
    ],
)
def test_the_variables_switch_it_off(environ, expected):
    """LUPIS_ENABLED before its other name; a value that can't be read leaves it on."""
    assert expected is _bootstrap.enabled(environ)


def joined(*parts):
    """A PYTHONPATH."""
    return os.pathsep.join(parts)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (joined(FOLDER), None),
        (joined(FOLDER, "/a", "/b"), joined("/a", "/b")),
        (joined("/a", FOLDER, "/b"), joined("/a", "/b")),
        (joined(FOLDER, "", "/b"), joined("", "/b")),
        (joined(FOLDER, ""), None),
        (joined("/a"), joined("/a")),
        (None, None),
    ],
)
def test_children_may_be_left_alone(before, after):
    """The bootstrap's folder is taken out of PYTHONPATH, and nothing else."""
    environ = {"LUPIS_INSTRUMENT_CHILDREN": "false"}
    if before is not None:
        environ["PYTHONPATH"] = before
    _bootstrap.leave_children_alone(FOLDER, environ)
    assert after == environ.get("PYTHONPATH")


@pytest.mark.parametrize("value", [None, "true", "1", "perhaps", ""])
def test_children_are_instrumented_otherwise(value):
    """PYTHONPATH stays as it is."""
    environ = {"PYTHONPATH": FOLDER}
    if value is not None:
        environ["LUPIS_INSTRUMENT_CHILDREN"] = value
    _bootstrap.leave_children_alone(FOLDER, environ)
    assert FOLDER == environ["PYTHONPATH"]


def test_it_does_nothing_where_it_is_switched_off():
    """Neither hooks nor an exit handler are set."""
    before = _bootstrap.launched()
    _bootstrap.start({"LUPIS_ENABLED": "false"})
    assert before == _bootstrap.launched()
