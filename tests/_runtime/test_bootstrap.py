"""The start of Python: the import hook, and the variables of child processes."""

import os

import pytest

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._runtime import bootstrap

FOLDER = "/bootstrap"


def join_paths(*parts):
    """Returns a PYTHONPATH."""
    return os.pathsep.join(parts)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (join_paths(FOLDER), None),
        (join_paths(FOLDER, "/a", "/b"), join_paths("/a", "/b")),
        (join_paths("/a", FOLDER, "/b"), join_paths("/a", "/b")),
        (join_paths(FOLDER, "", "/b"), join_paths("", "/b")),
        (join_paths(FOLDER, ""), None),
        (join_paths("/a"), join_paths("/a")),
        (None, None),
    ],
)
def test_the_folder_leaves_pythonpath_where_children_stay_alone(before, after):
    """The rest of PYTHONPATH stays as it is."""
    environ = {"LUPIS_INSTRUMENT_CHILDREN": "false"}
    if before is not None:
        environ["PYTHONPATH"] = before
    bootstrap.leave_children_alone(FOLDER, environ)
    assert after == environ.get("PYTHONPATH")


@pytest.mark.parametrize("value", [None, "true", "1", "perhaps", ""])
def test_the_folder_stays_where_children_are_instrumented(value):
    """Children find the bootstrap by PYTHONPATH."""
    environ = {"PYTHONPATH": FOLDER}
    if value is not None:
        environ["LUPIS_INSTRUMENT_CHILDREN"] = value
    bootstrap.leave_children_alone(FOLDER, environ)
    assert FOLDER == environ["PYTHONPATH"]


@pytest.mark.parametrize(("value", "hooks"), [("false", 0), ("true", 1)])
def test_no_import_hook_is_set_where_instrumentation_is_off(run, value, hooks):
    """The program's import system stays as it is."""
    program = "import sys; print(sum('lupis' in type(hook).__module__ for hook in sys.meta_path))"
    assert f"{hooks}\n" == run(program, env={"LUPIS_ENABLED": value}).stdout


def test_a_second_start_sets_no_second_hook(run_code):
    """`sitecustomize` and `opentelemetry-instrument` may both start it."""
    done = run_code(
        """
        import sys
        from lupis_instrument._runtime import bootstrap
        bootstrap.start()
        bootstrap.start()
        print(sum("lupis" in type(hook).__module__ for hook in sys.meta_path))
        """
    )
    assert ("1\n", "") == (done.output, done.messages)


def test_the_first_process_marks_itself_as_the_leader(run_code):
    """Its children find the mark in their environment."""
    done = run_code(
        """
        import os
        from lupis_instrument._runtime import bootstrap
        bootstrap.start()
        print(os.environ["LUPIS_LEADER"].partition(":")[0] == str(os.getpid()))
        """
    )
    assert "True\n" == done.output


def test_a_child_keeps_the_leader_of_its_parent(run_code):
    """Only one process prints the summary."""
    done = run_code(
        """
        import os
        from lupis_instrument._runtime import bootstrap
        bootstrap.start()
        print(os.environ["LUPIS_LEADER"])
        """,
        LUPIS_LEADER="1:f",
    )
    assert "1:f\n" == done.output


def test_the_start_keeps_the_variables_of_the_operator(run_code):
    """A program may change its environment before its first call."""
    done = run_code(
        """
        import os
        from lupis_instrument._runtime import bootstrap, launch
        bootstrap.start()
        os.environ.clear()
        print(launch.launch.environ["LUPIS_PROJECT_ID"], "PATH" in launch.launch.environ)
        """,
        LUPIS_PROJECT_ID="shop",
    )
    assert "shop False\n" == done.output


@pytest.mark.parametrize("installed", [True, False])
def test_the_earlier_package_is_reported_at_the_start(installed, tmp_path, monkeypatch, capsys):
    """The line has the command that removes it."""
    monkeypatch.setattr(
        bootstrap, "__file__", str(tmp_path / "lupis_instrument" / "_runtime" / "x.py")
    )
    if installed:
        (tmp_path / "lupislabs").mkdir()
        (tmp_path / "lupislabs" / "__init__.py").touch()
    diagnostics.reset()
    bootstrap._report_earlier_package()
    assert installed == (" -m pip uninstall lupislabs\n" in capsys.readouterr().err)
