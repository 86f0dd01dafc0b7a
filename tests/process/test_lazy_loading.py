"""Until a client is used nothing heavy is loaded, and hooked modules look as they always do."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from servers import otlp, wire
from servers.program import Runner, link_packages

from lupis_instrument._cli.run.locations import find_bootstrap_folder

CLIENTS = ("requests", "urllib3", "httpx", "httpx2", "aiohttp", "http.client", "urllib.request")
HEAVY = ("opentelemetry", "asyncio", "http.client", *CLIENTS[:5])
MODULES = "import json, sys; print(json.dumps(sorted(sys.modules)))"


def there(client):
    """A test parameter: a client, skipped where it isn't installed."""
    missing = importlib.util.find_spec(client) is None
    return pytest.param(client, marks=pytest.mark.skipif(missing, reason=f"no {client}"))


def python(code, *, bootstrapped, folder, **env):
    """Runs a line of code, with the variables that instrument it or without, and reads its JSON."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("LUPIS_")}
    paths = [find_bootstrap_folder()] if bootstrapped else []
    path = os.pathsep.join([*paths, *filter(None, [env.pop("PYTHONPATH", "")])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**own, "PYTHONHASHSEED": "0", "PYTHONPATH": path, **env},
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    assert "" == done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Gives what an import loads with us, and what it loads without."""
    done = {}

    def load(client):
        if client not in done:
            code = f"import {client}; {MODULES}"
            done[client] = [
                set(python(code, bootstrapped=each, folder=tmp_path_factory.mktemp("load")))
                for each in (True, False)
            ]
        return done[client]

    return load


def is_of(module, package):
    """Whether a module is a package or in it."""
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("package", HEAVY)
def test_a_program_that_imports_nothing_loads_nothing(loaded, package):
    """Neither telemetry nor a client."""
    assert [] == [module for module in loaded("sys")[0] if is_of(module, package)]


def test_what_an_idle_program_loads_of_ours(loaded):
    """The import hook, the table of clients, fork handlers, and the reporting of errors."""
    launched, bare = loaded("sys")
    mine = {module for module in launched - bare if is_of(module, "lupis_instrument")}
    names = (
        "_config",
        "_config.clients",
        "_diagnostics",
        "_instrumentation",
        "_instrumentation.import_hook",
        "_process",
        "_process.fork",
        "_runtime",
        "_runtime.bootstrap",
        "_runtime.launch",
    )
    expected = {"lupis_instrument", *(f"lupis_instrument.{name}" for name in names)}
    assert expected == mine


def test_what_an_idle_program_loads_beside_ours(loaded):
    """Two tiny modules of the standard library."""
    launched, bare = loaded("sys")
    others = {module for module in launched - bare if not is_of(module, "lupis_instrument")}
    assert others <= {"sitecustomize", "__future__", "atexit"}


@pytest.mark.parametrize("client", [there(client) for client in CLIENTS])
def test_importing_a_client_loads_no_other(loaded, client):
    """Nor telemetry: only adapters of ours, and modules of the standard library."""
    launched, bare = loaded(client)
    mine = ("lupis_instrument", "sitecustomize")
    others = {each for each in launched - bare if not any(is_of(each, name) for name in mine)}
    if hasattr(sys, "stdlib_module_names"):
        assert {each.split(".")[0] for each in others} <= set(sys.stdlib_module_names)
    for heavy in HEAVY:
        assert [] == [each for each in others if is_of(each, heavy)]


LOOKS = """
import hashlib, importlib, importlib.util, inspect, json, sys, traceback
name = {name!r}
module = importlib.import_module(name)
spec = module.__spec__
def kind(thing): return type(thing).__module__ + "." + type(thing).__qualname__
def text(function, *arguments):
    try:
        found = function(*arguments)
    except Exception as error:
        found = repr(error)
    return hashlib.sha256(str(found).encode()).hexdigest()
looks = {{
    "loader": [kind(module.__loader__), kind(spec.loader), module.__loader__ is spec.loader],
    "loader's own": sorted(vars(spec.loader)),
    "spec": [spec.name, spec.origin, spec.cached, spec.submodule_search_locations],
    "module": [kind(module), sorted(vars(module)), module.__file__, module.__package__],
    "source": text(inspect.getsource, module),
    "data": text(spec.loader.get_data, module.__file__),
    "found again": [importlib.util.find_spec(name) is spec, kind(importlib.util.find_spec(name))],
    "reloaded": importlib.reload(module) is module,
}}
if hasattr(module, "__path__"):
    import importlib.resources
    if hasattr(importlib.resources, "files"):
        looks["files"] = sorted(each.name for each in importlib.resources.files(name).iterdir())
print(json.dumps(looks))
"""
HOOKED = ("requests", "urllib3.connectionpool", "http.client", "httpx", "httpx2", "aiohttp")


@pytest.fixture(scope="module")
def looks(tmp_path_factory):
    """Gives how a module looks with us and without."""
    done = {}

    def look(name):
        if name not in done:
            code = LOOKS.format(name=name)
            done[name] = [
                python(code, bootstrapped=each, folder=tmp_path_factory.mktemp("looks"))
                for each in (True, False)
            ]
        return done[name]

    return look


@pytest.mark.parametrize("name", [there(name) for name in HOOKED])
@pytest.mark.parametrize(
    "what",
    ["loader", "loader's own", "spec", "module", "source", "data", "found again", "reloaded"],
)
def test_a_hooked_module_looks_the_same(looks, name, what):
    """Its loader, its spec, its source, and what it holds."""
    launched, bare = looks(name)
    assert bare[what] == launched[what]


@pytest.mark.parametrize("name", [there(name) for name in ("requests", "httpx", "aiohttp")])
def test_a_hooked_packages_files_are_found(looks, name):
    """By `importlib.resources`."""
    launched, bare = looks(name)
    assert bare.get("files") == launched.get("files")


SIGNATURES = """
import importlib, inspect, json, pickle, re
found = {}
for path in PATHS:
    module, _, names = path.partition(":")
    thing = importlib.import_module(module)
    for name in names.split("."):
        thing = getattr(thing, name)
    found[path] = [
        re.sub("0x[0-9a-f]+", "0x", str(inspect.signature(thing))), inspect.iscoroutinefunction(thing), thing.__name__,
        thing.__qualname__, thing.__module__, thing.__doc__, inspect.getsource(thing),
        pickle.dumps(thing).hex(),
    ]
print(json.dumps(found))
"""
WRAPPED = [
    "requests:Session.send",
    "requests:Session.rebuild_auth",
    "urllib3.connectionpool:HTTPConnectionPool.urlopen",
    "http.client:HTTPConnection.putrequest",
    "http.client:HTTPConnection.endheaders",
    "http.client:HTTPConnection.send",
    "http.client:HTTPConnection.getresponse",
    "http.client:HTTPConnection.close",
    "httpx:HTTPTransport.handle_request",
    "httpx:AsyncHTTPTransport.handle_async_request",
    "aiohttp:ClientSession.__init__",
    "aiohttp:ClientResponse.start",
]


def test_wrapped_functions_look_the_same(tmp_path):
    """Signature, name, documentation, source, and whether they are coroutine functions."""
    pytest.importorskip("aiohttp")
    code = f"PATHS = {WRAPPED!r}\n{SIGNATURES}"
    launched, bare = (python(code, bootstrapped=each, folder=tmp_path) for each in (True, False))
    assert bare == launched


CALL = """
import json, os, sys
import {client} as client
url = os.environ["WIRE_URL"] + "/v1/chat/completions"
{call}
print(json.dumps([client.__file__, type(client.__loader__).__name__, sorted(sys.modules)]))
"""
CALLS = {
    "httpx": "client.post(url, json={})",
    "httpx2": "client.post(url, json={})",
    "urllib3": "client.PoolManager().request('POST', url, body=b'{}')",
    "requests": "client.post(url, json={})",
}


@pytest.mark.parametrize("client", [there(client) for client in CALLS])
def test_the_first_call_loads_nothing_of_another_client(run, llm_like, client):
    """Neither its instrumentor nor the client itself."""
    program = CALL.format(client=client, call=CALLS[client])
    bare = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "WIRE_URL": llm_like.url},
        capture_output=True,
        check=True,
    )
    done = run(program, env={"WIRE_URL": llm_like.url})
    assert 1 == len(done.spans)
    prefix = "opentelemetry.instrumentation."
    modules = json.loads(done.stdout)[2]
    names = {each[len(prefix) :].split(".")[0] for each in modules if each.startswith(prefix)}
    assert names & {"httpx", "urllib3", "requests", "aiohttp_client"} <= {client}
    clients = {"httpx", "httpx2", "urllib3", "requests", "aiohttp"}
    assert clients & set(json.loads(bare.stdout)[2]) == clients & set(modules)


TWO = """
import os
import {first}
url = os.environ["WIRE_URL"] + "/v1/chat/completions"
{first}.post(url, json={{}})
import {second}
{second}.post(url, json={{}})
"""
OWN = """
from opentelemetry.instrumentation.httpx import {instrumentor}
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
provider = TracerProvider()
console = ConsoleSpanExporter(formatter=lambda span: span.name + "\\n")
provider.add_span_processor(SimpleSpanProcessor(console))
{instrumentor}().instrument(tracer_provider=provider)
{second}.post(url, json={{}})
"""
PAIRS = {
    ("httpx", "httpx2"): "HTTPX2ClientInstrumentor",
    ("httpx2", "httpx"): "HTTPXClientInstrumentor",
}


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request):
    """Two clients of one instrumentor, and its class for the second."""
    for each in request.param:
        pytest.importorskip(each)
    return {**dict(zip(("first", "second"), request.param)), "instrumentor": PAIRS[request.param]}


def test_a_client_imported_after_anothers_call_is_instrumented(run, llm_like, pair):
    """Upstream's module had been loaded without it."""
    done = run(TWO.format(**pair), env={"WIRE_URL": llm_like.url})
    assert ("", 2) == (done.stderr, len(done.spans))


def test_the_program_gets_all_of_upstreams_module(run, llm_like, pair):
    """Though it had been loaded without one of its clients."""
    upstream = pytest.importorskip("opentelemetry.instrumentation.httpx")
    if not hasattr(upstream, pair["instrumentor"]):
        pytest.skip("this release knows one of the clients only")
    done = run((TWO + OWN).format(**pair), env={"WIRE_URL": llm_like.url})
    assert ("POST\n", "", 3) == (done.stdout, done.stderr, len(done.spans))


@pytest.fixture(scope="module")
def llm_like():
    """A server to call."""
    with wire.serving() as server:
        yield server


def test_a_client_in_a_zip_file_is_instrumented(run, llm_like):
    """It comes from there with us too."""
    package = Path(pytest.importorskip("urllib3").__file__).parent
    with zipfile.ZipFile(run.folder / "lib.zip", "w") as archive:
        for file in package.rglob("*.py"):
            archive.write(file, str(file.relative_to(package.parent)))
    program = CALL.format(client="urllib3", call=CALLS["urllib3"])
    env = {"WIRE_URL": llm_like.url, "PYTHONPATH": str(run.folder / "lib.zip")}
    done = run(program, env=env)
    file, loader, _ = json.loads(done.stdout)
    assert (str(run.folder / "lib.zip" / "urllib3" / "__init__.py"), "zipimporter") == (
        file,
        loader,
    )
    assert [("opentelemetry.instrumentation.urllib3", "")] == [
        (span["scope"]["name"], done.stderr) for span in done.spans
    ]


def test_a_zipapp_is_instrumented(run, llm_like):
    """A whole program in one file."""
    source = run.folder / "source"
    source.mkdir()
    (source / "__main__.py").write_text(CALL.format(client="urllib3", call=CALLS["urllib3"]))
    archive = shutil.make_archive(str(run.folder / "app"), "zip", source)
    done = run(Path(archive), env={"WIRE_URL": llm_like.url})
    assert (0, "", 1) == (done.returncode, done.stderr, len(done.spans))


IMPORT_ERROR = """
import sys
sys.path.insert(0, ".")
import httpx
"""


def test_a_client_that_fails_to_import_fails_the_same(tmp_path):
    """With the same traceback."""
    (tmp_path / "httpx.py").write_text("import nowhere\n")
    with otlp.serving() as sink:
        runner = Runner(sink, tmp_path)
        launched, bare = (runner(IMPORT_ERROR, launched=each) for each in (True, False))
    assert (1, bare.stderr) == (launched.returncode, launched.stderr)
    assert "nowhere" in bare.stderr


LATER = """
import importlib.util, json, os, sys

def lazily(name):
    # What `lazy import` does (PEP 810), for Pythons that have it not: executed at its first use.
    parent, _, child = name.rpartition(".")
    spec = importlib.util.find_spec(name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if parent:
        setattr(sys.modules[parent], child, module)
    return module

client = lazily({client!r})
url = os.environ["WIRE_URL"] + "/v1/chat/completions"
loaded = [name for name in sys.modules if name.startswith("opentelemetry")]
{call}
print(json.dumps(loaded))
"""
LATER_CALLS = {
    **CALLS,
    "http.client": (
        "connection = client.HTTPConnection(os.environ['WIRE_URL'].partition('://')[2])\n"
        "connection.request('POST', '/v1/chat/completions', b'{}')\n"
        "connection.getresponse().read()"
    ),
    "urllib3.connectionpool": (
        "from urllib.parse import urlsplit\n"
        "client.HTTPConnectionPool(urlsplit(url).hostname, urlsplit(url).port)"
        ".request('POST', '/v1/chat/completions', body=b'{}')"
    ),
}
LATER_CALLS.pop("urllib3")


@pytest.mark.parametrize("client", [there(client) for client in LATER_CALLS])
def test_a_lazily_imported_client_is_instrumented(run, llm_like, client):
    """Its module is executed when the program first uses it, with our watch on it."""
    done = run(
        LATER.format(client=client, call=LATER_CALLS[client]), env={"WIRE_URL": llm_like.url}
    )
    assert (0, "", "[]\n") == (done.returncode, done.stderr, done.stdout)
    assert 1 == len(done.spans)


NEVER_USED = """
import importlib.util, sys
spec = importlib.util.find_spec({client!r})
spec.loader = importlib.util.LazyLoader(spec.loader)
module = sys.modules[{client!r}] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(object.__getattribute__(module, "__class__").__name__)
"""


@pytest.mark.parametrize("client", [there(client) for client in ("httpx", "requests")])
def test_a_lazy_import_stays_lazy(run, client):
    """We don't touch the module before the program does."""
    done = run(NEVER_USED.format(client=client))
    assert (0, "", "_LazyModule\n") == (done.returncode, done.stderr, done.stdout)


EARLIER = """
import json, os, sys
import {client} as client
url = os.environ["WIRE_URL"] + "/v1/chat/completions"
loaded = [name for name in sys.modules if name.startswith("opentelemetry")]
{call}
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def preloading(tmp_path_factory):
    """Makes a Python whose .pth file imports a client before any sitecustomize is run."""

    def make(client):
        folder = tmp_path_factory.mktemp("preloading")
        venv.create(folder, with_pip=False)
        python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        site = subprocess.run(
            [python, "-c", code], stdout=subprocess.PIPE, encoding="utf-8", check=True
        )
        packages = folder / "packages"
        packages.mkdir()
        link_packages(packages)
        Path(site.stdout.strip(), "agent.pth").write_text(f"{packages}\nimport {client}\n")
        return str(python)

    return make


@pytest.mark.parametrize("client", [there(client) for client in CALLS])
def test_a_client_that_was_there_before_us_is_instrumented(run, llm_like, preloading, client):
    """It is found among the loaded modules, and loads nothing until it is used."""
    done = run(
        EARLIER.format(client=client, call=CALLS[client]),
        env={"WIRE_URL": llm_like.url},
        python=preloading(client),
    )
    assert (0, "", "[]\n") == (done.returncode, done.stderr, done.stdout)
    assert 1 == len(done.spans)
