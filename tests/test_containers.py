"""The examples for containers: what can be told of them without any."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from servers.program import link_packages

import lupis_instrument
from lupis_instrument import _semconv
from lupis_instrument._cli.run import locations
from lupis_instrument._config.environment import read_environment
from lupis_instrument._config.settings import SETTINGS

yaml = pytest.importorskip("yaml")

FOLDER = Path(__file__).parents[1] / "examples" / "containers"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
STANDARD = {"OTEL_RESOURCE_ATTRIBUTES", "PYTHONPATH", "POD_NAME"}
NOBODY = 65534


def read(name):
    """One of the YAML files."""
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def of_dockerfile():
    """Variables of the Dockerfile."""
    lines = re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)
    return dict(re.findall(r'(\w+)="([^"]*)"', " ".join(lines)))


def of_compose():
    """Variables of the agent in the compose file."""
    return read("compose")["services"]["agent"]["environment"]


def of_kubernetes():
    """Variables of the agent in the manifest; those that the cluster fills are empty."""
    return {each["name"]: each.get("value", "") for each in agent()["env"]}


def agent():
    """The container of the program in the manifest."""
    return read("kubernetes")["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("variables", [of_dockerfile, of_compose, of_kubernetes])
def test_the_variables_are_ours_or_standard(variables):
    """Each LUPIS_* one is in the table of settings."""
    known = {name for row in SETTINGS for name in (row.variable, *row.aliases)}
    assert variables()
    assert set() == set(variables()) - known - {_semconv.ENV_LAUNCHER_SITE} - STANDARD


@pytest.mark.parametrize("variables", [of_dockerfile, of_compose, of_kubernetes])
def test_the_values_are_valid(variables):
    """As lupis-run would check them."""
    assert [] == read_environment(variables(), lenient=False).problems


def test_the_collector_is_where_the_agent_sends_to():
    """Host, port and path."""
    host, port = re.fullmatch(
        r"http://(\w+):(\d+)/v1/traces", of_compose()["LUPIS_OTLP_ENDPOINT"]
    ).groups()
    assert host in read("compose")["services"]
    assert (
        f"0.0.0.0:{port}" == read("collector")["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    )


def test_the_collector_takes_spans_and_events():
    """By pipelines of components that the file sets up."""
    found = read("collector")
    pipelines = found["service"]["pipelines"]
    assert {"traces", "logs"} == set(pipelines)
    for pipeline in pipelines.values():
        for kind, names in pipeline.items():
            assert set(names) <= set(found[kind])


def test_compose_builds_a_stage_of_the_dockerfile():
    """Whose files are there, seen from its context."""
    build = read("compose")["services"]["agent"]["build"]
    root = FOLDER / build["context"]
    assert (root / build["dockerfile"]).resolve() == FOLDER / "Dockerfile"
    assert re.search(rf"^FROM .* AS {build['target']}$", DOCKERFILE, re.MULTILINE)
    for files in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE):
        assert all((root / file).exists() for file in files.split())


def test_nobody_runs_as_root_or_writes_where_it_should_not():
    """In any of them."""
    assert ["65534:65534"] * 2 == re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)
    assert read("compose")["services"]["agent"]["read_only"]
    spec = read("kubernetes")["spec"]["template"]["spec"]
    assert (True, NOBODY) == tuple(
        spec["securityContext"][key] for key in ("runAsNonRoot", "runAsUser")
    )
    for container in (*spec["initContainers"], *spec["containers"]):
        assert container["securityContext"]["readOnlyRootFilesystem"]


def test_the_manifest_names_one_version_of_python():
    """That of the image which the package is copied from, and of its folder."""
    version = re.search(r"FROM python:([\d.]+)-slim AS instrumentation", DOCKERFILE).group(1)
    spec = read("kubernetes")["spec"]["template"]["spec"]
    mount = agent()["volumeMounts"][0]["mountPath"]
    assert f"cpython-{version}:{mount}" == of_kubernetes()["LUPIS_LAUNCHER_SITE"]
    assert spec["initContainers"][0]["image"].endswith(f":{version}")
    assert f"{mount}/lupis_instrument/sitecustomize_template" == of_kubernetes()["PYTHONPATH"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A folder as `pip install --target` makes it: the package as in a wheel, beside the rest."""
    folder = tmp_path_factory.mktemp("shared")
    package = Path(lupis_instrument.__file__).parent
    shutil.copytree(package, folder / package.name)
    if not (folder / package.name / "sitecustomize_template").exists():
        shutil.copytree(
            locations.find_bootstrap_folder(), folder / package.name / "sitecustomize_template"
        )
    link_packages(folder)
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A Python that has nothing installed."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    return str(folder / "bin" / "python")


CALL = """
import json, os, sys, urllib.request
body = json.dumps({"model": "gpt-4o-mini", "messages": []}).encode()
request = urllib.request.Request(os.environ["LLM_URL"] + "/v1/chat/completions", body)
urllib.request.urlopen(request).read()
print(sorted(name for name in ("HOME", "XDG_DATA_HOME") if name in os.environ))
"""


@pytest.mark.skipif(os.name == "nt", reason="containers are POSIX")
def test_variables_and_a_shared_folder_are_enough(shared, bare, sink, llm, tmp_path):
    """Those of the manifest, for a Python without the package, a home and a folder to write to."""
    version = ".".join(map(str, sys.version_info[:2]))
    env = of_kubernetes()
    for there, here in (
        ("cpython-3.12", f"{sys.implementation.name}-{version}"),
        ("/lupis", str(shared)),
        ("http://otel-collector:4318/v1/traces", sink.traces_url),
        ("/data", str(tmp_path / "file" / "data")),
    ):
        env = {name: value.replace(there, here, 1) for name, value in env.items()}
    (tmp_path / "file").write_text("")
    (tmp_path / "app.py").write_text(CALL)
    done = subprocess.run(
        [bare, "app.py"],
        env={**env, "LLM_URL": llm.url, "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (0, "[]\n", "") == (done.returncode, done.stdout, done.stderr)
    assert ["chat gpt-4o-mini"] == [span["name"] for span in sink.spans]
    assert "shop" == sink.spans[0]["resource"]["lupis.project.id"]


def test_a_python_without_tls_delivers(run, llm):
    """Some images' are built so; a collector beside the program needs none."""
    code = "import sys\nsys.modules['ssl'] = sys.modules['_ssl'] = None\n" + CALL
    done = run(code, env={"LLM_URL": llm.url})
    assert (0, "") == (done.returncode, done.stderr)
    assert ["chat gpt-4o-mini"] == [span["name"] for span in done.spans]
