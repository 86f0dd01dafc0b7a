"""The checks of command, interpreter, clients and settings."""

import os
import sys
import venv
from pathlib import Path

import pytest
from servers.recorded import read_results

SECRET = "hush-hush-0123456789"


def test_invalid_setting_is_wrong(doctor):
    """The text suggests a valid value."""
    done = doctor("--format", "json", LUPIS_REDACTION_MODE="masked")
    setting = read_results(done)["LUPIS_REDACTION_MODE"]
    assert (1, True) == (done.returncode, setting["wrong"])
    assert "did you mean 'mask'?" in setting["text"]


def test_secrets_are_hidden(doctor):
    """The report still shows that they are set."""
    done = doctor("--format", "json", LUPIS_API_KEY=SECRET, LUPIS_HASH_KEY=SECRET)
    assert SECRET not in done.stdout + done.stderr
    assert "*** (LUPIS_API_KEY)" == read_results(done)["LUPIS_API_KEY"]["text"]


@pytest.mark.slow
def test_a_propagator_that_is_not_installed_is_wrong(doctor):
    """The trace goes on in other headers than the user wants."""
    done = doctor("--format", "json", OTEL_PROPAGATORS="tracecontext,absent")
    results = read_results(done)["OTEL_PROPAGATORS"]
    assert (1, True) == (done.returncode, results["wrong"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({"LUPIS_DISABLED_INSTRUMENTATIONS": "httpx"}, "switched off"),
        ({"LUPIS_INSTRUMENT": "requests"}, "not named by LUPIS_INSTRUMENT"),
        ({}, "instrumented at its first request"),
    ],
)
def test_client_shows_how_it_is_treated(env, text, doctor):
    """A setting may switch it off."""
    assert text in read_results(doctor("--format", "json", **env))["httpx"]["text"]


@pytest.mark.slow
def test_client_that_cannot_be_instrumented_is_wrong(doctor, tmp_path):
    """The reason is the one of a program's first request."""
    (tmp_path / "httpx.py").write_text("")
    (tmp_path / "httpx-1.0.dist-info").mkdir()
    (tmp_path / "httpx-1.0.dist-info" / "METADATA").write_text("Name: httpx\nVersion: 1.0\n")
    done = doctor("--format", "json", PYTHONPATH=str(tmp_path))
    results = read_results(done)["httpx"]
    assert (1, True) == (done.returncode, results["wrong"])
    assert "1.0, not instrumented: LupisError: this version has no HTTPTransport" == results["text"]


@pytest.mark.slow
def test_library_that_talks_grpc_is_named(doctor, tmp_path):
    """No adapter sees its calls; this is nothing wrong, for the program may not use it."""
    (tmp_path / "httpx_ws.py").write_text("")
    (tmp_path / "xai_sdk.py").write_text("raise SystemExit('not to be imported')")
    for name in ("httpx-ws", "xai-sdk"):
        folder = tmp_path / f"{name.replace('-', '_')}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: 1.2\n")
    results = read_results(doctor("--format", "json", PYTHONPATH=str(tmp_path)))
    assert "1.2, its WebSockets are not recorded" == results["httpx-ws"]["text"]
    assert "1.2, talks gRPC: its calls are recorded by the spans" in results["xai-sdk"]["text"]
    assert not results["httpx-ws"]["wrong"]
    assert "picows" not in results


@pytest.mark.slow
def test_earlier_package_is_wrong(doctor, tmp_path):
    """`import lupislabs` would not load this one."""
    (tmp_path / "lupislabs-1.0.4.dist-info").mkdir()
    (tmp_path / "lupislabs-1.0.4.dist-info" / "METADATA").write_text(
        "Name: lupislabs\nVersion: 1.0.4\n"
    )
    done = doctor("--format", "json", PYTHONPATH=str(tmp_path))
    results = read_results(done)["lupislabs"]
    assert (1, True) == (done.returncode, results["wrong"])
    assert results["text"].startswith("1.0.4 is an earlier package")


@pytest.mark.slow
def test_command_is_not_run(doctor, tmp_path):
    """Only its interpreter runs, with the probe."""
    (tmp_path / "agent.py").write_text("open('run', 'w')\nprint('run')\n")
    done = doctor("--format", "json", "--", sys.executable, "agent.py", "--format", "text")
    results = read_results(done)
    assert (0, "") == (done.returncode, done.stderr)
    assert {"httpx", "lupis_instrument", "virtual environment"} <= set(results)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_module_that_hides_a_required_one_is_wrong(doctor, tmp_path):
    """It matters only in the folder of the program itself."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "requests.py").write_text("")
    command = ("--format", "json", "--", sys.executable)
    results = read_results(doctor(*command, str(app / "agent.py")))["conflict"]
    assert (True, str(app / "requests.py")) == (results["wrong"], results["text"].partition(" ")[0])
    assert "conflict" not in read_results(doctor(*command, "agent.py"))


def test_isolated_command_is_wrong(doctor):
    """The program would run without instrumentation."""
    done = doctor("--format", "json", "--", sys.executable, "-I", "agent.py")
    assert 1 == done.returncode
    assert read_results(done)["obstacle"]["text"].startswith("python -I ignores PYTHONPATH")


def test_missing_command_is_wrong(doctor):
    """No interpreter is examined."""
    done = doctor("--format", "json", "--", "no-such-command")
    assert (1, True) == (done.returncode, read_results(done)["no-such-command"]["wrong"])


@pytest.fixture(scope="module")
def other_python(tmp_path_factory):
    """Another virtual environment, without this package."""
    folder = tmp_path_factory.mktemp("other")
    venv.create(folder, with_pip=False)
    return str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")


@pytest.mark.slow
def test_other_environment_borrows_the_package(doctor, other_python):
    """Its interpreter must have the same version as the launcher."""
    done = doctor("--format", "json", "--", other_python, "agent.py")
    results = read_results(done)
    assert 0 == done.returncode, done.stdout
    assert results["lupis_instrument"]["text"].startswith("not installed: borrowed from ")
    assert str(Path(other_python).parents[1]) == results["virtual environment"]["text"]


def test_interpreter_that_cannot_borrow_is_wrong(doctor, tmp_path):
    """The text is the line that a program would write to stderr."""
    python = tmp_path / "python"
    site = "-c 'import sys; sys.version_info = (2, 7)'"
    python.write_text(
        f'#!/bin/sh\nunset LUPIS_LAUNCHER_SITE\nexec "{sys.executable}" -S "$@" {site}\n'
    )
    python.chmod(0o755)
    done = doctor("--format", "json", "--", str(python), "agent.py")
    results = read_results(done)
    assert (1, True) == (done.returncode, results["bootstrap"]["wrong"])
    assert "-S: no sitecustomize is run" == results["no_site"]["text"]


def test_program_named_python_may_be_none(doctor, tmp_path):
    """Its output is no result of the probe."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho hello\n")
    python.chmod(0o755)
    done = doctor("--format", "json", "--", str(python), "agent.py")
    assert (1, "does not run") == (done.returncode, read_results(done)["Python"]["text"])
