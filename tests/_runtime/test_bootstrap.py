"""What the variables say to the bootstrap; what it does is tested in processes of their own."""

import os

import pytest

from lupis_instrument._runtime import bootstrap, launch

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
    assert expected is launch.is_enabled(environ)


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
    bootstrap.leave_children_alone(FOLDER, environ)
    assert after == environ.get("PYTHONPATH")


@pytest.mark.parametrize("value", [None, "true", "1", "perhaps", ""])
def test_children_are_instrumented_otherwise(value):
    """PYTHONPATH stays as it is."""
    environ = {"PYTHONPATH": FOLDER}
    if value is not None:
        environ["LUPIS_INSTRUMENT_CHILDREN"] = value
    bootstrap.leave_children_alone(FOLDER, environ)
    assert FOLDER == environ["PYTHONPATH"]


@pytest.mark.parametrize(("value", "hooks"), [("false", 0), ("true", 1)])
def test_it_sets_no_hook_where_it_is_switched_off(run, value, hooks):
    """The program's import system stays as it is."""
    program = "import sys; print(sum('lupis' in type(each).__module__ for each in sys.meta_path))"
    assert f"{hooks}\n" == run(program, env={"LUPIS_ENABLED": value}).stdout
