"""The examples for containers, checked without running one."""

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


def read_yaml(name):
    """The content of one of the YAML files."""
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def dockerfile_variables():
    """The variables that the Dockerfile sets."""
    lines = re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)
    return dict(re.findall(r'(\w+)="([^"]*)"', " ".join(lines)))


def compose_variables():
    """The variables of the agent in the compose file."""
    return read_yaml("compose")["services"]["agent"]["environment"]


def kubernetes_variables():
    """The variables of the agent in the manifest; those that the cluster fills are empty."""
    return {variable["name"]: variable.get("value", "") for variable in agent_container()["env"]}


def agent_container():
    """The container of the program in the manifest."""
    return read_yaml("kubernetes")["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    "variables", [dockerfile_variables, compose_variables, kubernetes_variables]
)
def test_variables_exist(variables):
    """Each LUPIS_* variable is in the table of settings; the others are standard ones."""
    known = {name for row in SETTINGS for name in (row.variable, *row.aliases)}
    assert variables()
    assert set() == set(variables()) - known - {_semconv.ENV_LAUNCHER_SITE} - STANDARD


@pytest.mark.parametrize(
    "variables", [dockerfile_variables, compose_variables, kubernetes_variables]
)
def test_values_are_valid(variables):
    """`lupis-run` would accept each value."""
    assert [] == read_environment(variables(), lenient=False).problems


def test_agent_sends_to_the_collector():
    """Host, port and path of the endpoint are the ones that the collector listens on."""
    host, port = re.fullmatch(
        r"http://(\w+):(\d+)/v1/traces", compose_variables()["LUPIS_OTLP_ENDPOINT"]
    ).groups()
    assert host in read_yaml("compose")["services"]
    assert (
        f"0.0.0.0:{port}"
        == read_yaml("collector")["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    )


def test_collector_accepts_spans_and_events():
    """Each pipeline consists of components that the file configures."""
    configuration = read_yaml("collector")
    pipelines = configuration["service"]["pipelines"]
    assert {"traces", "logs"} == set(pipelines)
    for pipeline in pipelines.values():
        for kind, names in pipeline.items():
            assert set(names) <= set(configuration[kind])


def test_compose_builds_a_stage_of_the_dockerfile():
    """The files that the stage copies exist, seen from its context."""
    build = read_yaml("compose")["services"]["agent"]["build"]
    root = FOLDER / build["context"]
    assert (root / build["dockerfile"]).resolve() == FOLDER / "Dockerfile"
    assert re.search(rf"^FROM .* AS {build['target']}$", DOCKERFILE, re.MULTILINE)
    for files in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE):
        assert all((root / file).exists() for file in files.split())


def test_containers_run_without_root_and_read_only():
    """Each container has a user without rights and a read-only file system."""
    assert ["65534:65534"] * 2 == re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)
    assert read_yaml("compose")["services"]["agent"]["read_only"]
    spec = read_yaml("kubernetes")["spec"]["template"]["spec"]
    assert (True, NOBODY) == tuple(
        spec["securityContext"][key] for key in ("runAsNonRoot", "runAsUser")
    )
    for container in (*spec["initContainers"], *spec["containers"]):
        assert container["securityContext"]["readOnlyRootFilesystem"]


def test_manifest_has_one_version_of_python():
    """The image of the package, its folder and the variables have the same version."""
    version = re.search(r"FROM python:([\d.]+)-slim AS instrumentation", DOCKERFILE).group(1)
    spec = read_yaml("kubernetes")["spec"]["template"]["spec"]
    mount = agent_container()["volumeMounts"][0]["mountPath"]
    assert f"cpython-{version}:{mount}" == kubernetes_variables()["LUPIS_LAUNCHER_SITE"]
    assert spec["initContainers"][0]["image"].endswith(f":{version}")
    assert (
        f"{mount}/lupis_instrument/sitecustomize_template" == kubernetes_variables()["PYTHONPATH"]
    )


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    """A folder as `pip install --target` makes it: the package of a wheel and its dependencies."""
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
def bare_python(tmp_path_factory):
    """A Python in which nothing is installed."""
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
def test_variables_and_a_shared_folder_instrument(shared_folder, bare_python, sink, llm, tmp_path):
    """A Python without the package and without a writable home uses the manifest's variables."""
    version = ".".join(map(str, sys.version_info[:2]))
    env = kubernetes_variables()
    for example, actual in (
        ("cpython-3.12", f"{sys.implementation.name}-{version}"),
        ("/lupis", str(shared_folder)),
        ("http://otel-collector:4318/v1/traces", sink.traces_url),
        ("/data", str(tmp_path / "file" / "data")),
    ):
        env = {name: value.replace(example, actual, 1) for name, value in env.items()}
    (tmp_path / "file").write_text("")
    (tmp_path / "app.py").write_text(CALL)
    result = subprocess.run(
        [bare_python, "app.py"],
        env={**env, "LLM_URL": llm.url, "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (0, "[]\n") == (result.returncode, result.stdout)
    assert result.stderr.startswith("lupis: 1 LLM call, ")  # the summary for a pipe: one line
    assert 1 == result.stderr.count("\n")
    assert ["chat gpt-4o-mini"] == [span["name"] for span in sink.spans]
    assert "shop" == sink.spans[0]["resource"]["lupis.project.id"]


def test_python_without_tls_delivers(run, llm):
    """Some images have no `ssl`, which an endpoint without TLS does not need."""
    code = "import sys\nsys.modules['ssl'] = sys.modules['_ssl'] = None\n" + CALL
    result = run(code, env={"LLM_URL": llm.url})
    assert (0, "") == (result.returncode, result.stderr)
    assert ["chat gpt-4o-mini"] == [span["name"] for span in result.spans]
