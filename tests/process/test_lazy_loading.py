"""Before the first call nothing heavy is loaded, and hooked modules look unchanged."""

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
HEAVY_PACKAGES = ("opentelemetry", "asyncio", "http.client", *CLIENTS[:5])
SOCKET_CLIENTS = ("websockets.sync.client",)
LOADED_MODULES = "import json, sys; print(json.dumps(sorted(sys.modules)))"


def installed_client(client, *marks):
    """A test parameter: a client; its tests are skipped if it is not installed."""
    missing = importlib.util.find_spec(client.partition(".")[0]) is None
    skipped = pytest.mark.skipif(missing, reason=f"no {client}")
    return pytest.param(client, marks=[skipped, *marks])


def run_code(code, *, bootstrapped, folder, **env):
    """Runs code, with or without the bootstrap's variables, and returns the JSON that it prints."""
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
def loaded_modules(tmp_path_factory):
    """Returns the modules that an import loads, with the bootstrap and without."""
    done = {}

    def load_client(client):
        if client not in done:
            code = f"import {client}; {LOADED_MODULES}"
            done[client] = [
                set(run_code(code, bootstrapped=value, folder=tmp_path_factory.mktemp("load")))
                for value in (True, False)
            ]
        return done[client]

    return load_client


def belongs_to(module, package):
    """Returns whether a module is a package or in it."""
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("package", HEAVY_PACKAGES)
def test_a_program_without_imports_loads_no_heavy_package(loaded_modules, package):
    """Neither OpenTelemetry nor a client is loaded."""
    assert [] == [module for module in loaded_modules("sys")[0] if belongs_to(module, package)]


def test_a_program_without_clients_loads_few_modules_of_this_package(loaded_modules):
    """They are the import hook, the table of clients, fork handlers and diagnostics."""
    launched, bare = loaded_modules("sys")
    own = {module for module in launched - bare if belongs_to(module, "lupis_instrument")}
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
    assert expected == own


def test_a_program_without_clients_loads_two_other_modules(loaded_modules):
    """They are tiny modules of the standard library, besides sitecustomize."""
    launched, bare = loaded_modules("sys")
    others = {module for module in launched - bare if not belongs_to(module, "lupis_instrument")}
    assert others <= {"sitecustomize", "__future__", "atexit"}


@pytest.mark.parametrize(
    "client", [installed_client(client) for client in (*CLIENTS, *SOCKET_CLIENTS)]
)
def test_importing_a_client_loads_no_other_client(loaded_modules, client):
    """It loads this package's adapters and modules of the standard library, but no telemetry."""
    launched, bare = loaded_modules(client)
    own = ("lupis_instrument", "sitecustomize")
    others = {
        module for module in launched - bare if not any(belongs_to(module, name) for name in own)
    }
    if hasattr(sys, "stdlib_module_names"):
        assert {module.split(".")[0] for module in others} <= set(sys.stdlib_module_names)
    for heavy in HEAVY_PACKAGES:
        assert [] == [module for module in others if belongs_to(module, heavy)]


PROPERTIES = """
import hashlib, importlib, importlib.util, inspect, json, sys, traceback
name = {name!r}
module = importlib.import_module(name)
spec = module.__spec__
def type_name(value): return type(value).__module__ + "." + type(value).__qualname__
def hash_result(function, *arguments):
    try:
        result = function(*arguments)
    except Exception as error:
        result = repr(error)
    return hashlib.sha256(str(result).encode()).hexdigest()
properties = {{
    "loader": [type_name(module.__loader__), type_name(spec.loader), module.__loader__ is spec.loader],
    "loader's own": sorted(vars(spec.loader)),
    "spec": [spec.name, spec.origin, spec.cached, spec.submodule_search_locations],
    "module": [type_name(module), sorted(vars(module)), module.__file__, module.__package__],
    "source": hash_result(inspect.getsource, module),
    "data": hash_result(spec.loader.get_data, module.__file__),
    "found again": [importlib.util.find_spec(name) is spec, type_name(importlib.util.find_spec(name))],
    "reloaded": importlib.reload(module) is module,
}}
if hasattr(module, "__path__"):
    import importlib.resources
    if hasattr(importlib.resources, "files"):
        properties["files"] = sorted(file.name for file in importlib.resources.files(name).iterdir())
print(json.dumps(properties))
"""
HOOKED_MODULES = ("requests", "urllib3.connectionpool", "http.client", "httpx", "httpx2", "aiohttp")


@pytest.fixture(scope="module")
def module_properties(tmp_path_factory):
    """Returns the properties of a module, with the bootstrap and without."""
    done = {}

    def read_properties(name):
        if name not in done:
            code = PROPERTIES.format(name=name)
            done[name] = [
                run_code(code, bootstrapped=value, folder=tmp_path_factory.mktemp("properties"))
                for value in (True, False)
            ]
        return done[name]

    return read_properties


@pytest.mark.parametrize("name", [installed_client(name) for name in HOOKED_MODULES])
@pytest.mark.parametrize(
    "key",
    ["loader", "loader's own", "spec", "module", "source", "data", "found again", "reloaded"],
)
def test_a_hooked_module_looks_the_same(module_properties, name, key):
    """So do its loader, its spec and its source."""
    launched, bare = module_properties(name)
    assert bare[key] == launched[key]


@pytest.mark.parametrize(
    "name", [installed_client(name) for name in ("requests", "httpx", "aiohttp")]
)
def test_importlib_resources_finds_files_of_a_hooked_package(module_properties, name):
    """They are the same as without the bootstrap."""
    launched, bare = module_properties(name)
    assert bare.get("files") == launched.get("files")


SIGNATURES = """
import importlib, inspect, json, pickle, re
results = {}
for path in PATHS:
    module, _, names = path.partition(":")
    function = importlib.import_module(module)
    for name in names.split("."):
        function = getattr(function, name)
    results[path] = [
        re.sub("0x[0-9a-f]+", "0x", str(inspect.signature(function))),
        inspect.iscoroutinefunction(function), function.__name__, function.__qualname__,
        function.__module__, function.__doc__, inspect.getsource(function),
        pickle.dumps(function).hex(),
    ]
print(json.dumps(results))
"""
WRAPPED_FUNCTIONS = [
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
    """This covers signature, name, documentation, source, and pickling."""
    pytest.importorskip("aiohttp")
    code = f"PATHS = {WRAPPED_FUNCTIONS!r}\n{SIGNATURES}"
    launched, bare = (
        run_code(code, bootstrapped=value, folder=tmp_path) for value in (True, False)
    )
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

LISTED_CALLS = [
    installed_client(client, *([pytest.mark.slow] if client in {"httpx2", "urllib3"} else []))
    for client in CALLS
]


@pytest.mark.parametrize("client", LISTED_CALLS)
def test_the_first_call_loads_no_other_client(run, server, client):
    """It does not load another client's instrumentor either."""
    program = CALL.format(client=client, call=CALLS[client])
    bare = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "WIRE_URL": server.url},
        capture_output=True,
        check=True,
    )
    done = run(program, env={"WIRE_URL": server.url})
    assert 1 == len(done.spans)
    prefix = "opentelemetry.instrumentation."
    modules = json.loads(done.stdout)[2]
    names = {module[len(prefix) :].split(".")[0] for module in modules if module.startswith(prefix)}
    assert names & {"httpx", "urllib3", "requests", "aiohttp_client"} <= {client}
    clients = {"httpx", "httpx2", "urllib3", "requests", "aiohttp"}
    assert clients & set(json.loads(bare.stdout)[2]) == clients & set(modules)


TWO_CLIENTS = """
import os
import {first}
url = os.environ["WIRE_URL"] + "/v1/chat/completions"
{first}.post(url, json={{}})
import {second}
{second}.post(url, json={{}})
"""
OWN_INSTRUMENTOR = """
from opentelemetry.instrumentation.httpx import {instrumentor}
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
provider = TracerProvider()
console = ConsoleSpanExporter(formatter=lambda span: span.name + "\\n")
provider.add_span_processor(SimpleSpanProcessor(console))
{instrumentor}().instrument(tracer_provider=provider)
{second}.post(url, json={{}})
"""
CLIENT_PAIRS = {
    ("httpx", "httpx2"): "HTTPX2ClientInstrumentor",
    ("httpx2", "httpx"): "HTTPXClientInstrumentor",
}


@pytest.fixture(params=CLIENT_PAIRS, ids="-".join)
def client_pair(request):
    """Two clients that share a module of upstream, and the instrumentor of the second."""
    for client in request.param:
        pytest.importorskip(client)
    return {
        **dict(zip(("first", "second"), request.param)),
        "instrumentor": CLIENT_PAIRS[request.param],
    }


@pytest.mark.slow
def test_a_client_that_is_imported_after_another_clients_call_is_instrumented(
    run, server, client_pair
):
    """Upstream's shared module was loaded without the second client."""
    done = run(TWO_CLIENTS.format(**client_pair), env={"WIRE_URL": server.url})
    assert ("", 2) == (done.stderr, len(done.spans))


@pytest.mark.slow
def test_the_program_can_use_all_of_upstreams_module(run, server, client_pair):
    """This holds although it was loaded without one of its clients."""
    upstream = pytest.importorskip("opentelemetry.instrumentation.httpx")
    if not hasattr(upstream, client_pair["instrumentor"]):
        pytest.skip("this release supports only one of the clients")
    done = run((TWO_CLIENTS + OWN_INSTRUMENTOR).format(**client_pair), env={"WIRE_URL": server.url})
    assert ("POST\n", "", 3) == (done.stdout, done.stderr, len(done.spans))


@pytest.fixture(scope="module")
def server():
    """A server to call."""
    with wire.serving() as running:
        yield running


@pytest.mark.slow
def test_a_client_in_a_zip_file_is_instrumented(run, server):
    """Python still loads it from the zip file."""
    package = Path(pytest.importorskip("urllib3").__file__).parent
    with zipfile.ZipFile(run.folder / "lib.zip", "w") as archive:
        for file in package.rglob("*.py"):
            archive.write(file, str(file.relative_to(package.parent)))
    program = CALL.format(client="urllib3", call=CALLS["urllib3"])
    env = {"WIRE_URL": server.url, "PYTHONPATH": str(run.folder / "lib.zip")}
    done = run(program, env=env)
    file, loader, _ = json.loads(done.stdout)
    assert (str(run.folder / "lib.zip" / "urllib3" / "__init__.py"), "zipimporter") == (
        file,
        loader,
    )
    assert [("opentelemetry.instrumentation.urllib3", "")] == [
        (span["scope"]["name"], done.stderr) for span in done.spans
    ]


@pytest.mark.slow
def test_a_zipapp_is_instrumented(run, server):
    """It is a whole program in one file."""
    source = run.folder / "source"
    source.mkdir()
    (source / "__main__.py").write_text(CALL.format(client="urllib3", call=CALLS["urllib3"]))
    archive = shutil.make_archive(str(run.folder / "app"), "zip", source)
    done = run(Path(archive), env={"WIRE_URL": server.url})
    assert (0, "", 1) == (done.returncode, done.stderr, len(done.spans))


IMPORT_ERROR = """
import sys
sys.path.insert(0, ".")
import httpx
"""


def test_a_failing_import_of_a_client_has_the_same_traceback(tmp_path):
    """Its exit status is the same too."""
    (tmp_path / "httpx.py").write_text("import nowhere\n")
    with otlp.serving() as sink:
        runner = Runner(sink, tmp_path)
        launched, bare = (runner(IMPORT_ERROR, launched=value) for value in (True, False))
    assert (1, bare.stderr) == (launched.returncode, launched.stderr)
    assert "nowhere" in bare.stderr


LAZY_IMPORT = """
import importlib.util, json, os, sys

def import_lazily(name):
    # Like `lazy import` (PEP 810): the module is executed when it is first used.
    parent, _, child = name.rpartition(".")
    spec = importlib.util.find_spec(name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if parent:
        setattr(sys.modules[parent], child, module)
    return module

client = import_lazily({client!r})
url = os.environ["WIRE_URL"] + "/v1/chat/completions"
loaded = [name for name in sys.modules if name.startswith("opentelemetry")]
{call}
print(json.dumps(loaded))
"""
LAZY_CALLS = {
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
LAZY_CALLS.pop("urllib3")


@pytest.mark.parametrize(
    "client",
    [
        installed_client(client, *([] if client in {"requests", "aiohttp"} else [pytest.mark.slow]))
        for client in LAZY_CALLS
    ],
)
def test_a_lazily_imported_client_is_instrumented(run, server, client):
    """The import hook sees its module when the program first uses it."""
    done = run(
        LAZY_IMPORT.format(client=client, call=LAZY_CALLS[client]), env={"WIRE_URL": server.url}
    )
    assert (0, "", "[]\n") == (done.returncode, done.stderr, done.stdout)
    assert 1 == len(done.spans)


UNUSED_LAZY_IMPORT = """
import importlib.util, sys
spec = importlib.util.find_spec({client!r})
spec.loader = importlib.util.LazyLoader(spec.loader)
module = sys.modules[{client!r}] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(object.__getattribute__(module, "__class__").__name__)
"""


@pytest.mark.parametrize("client", [installed_client(client) for client in ("httpx", "requests")])
def test_a_lazy_import_stays_lazy(run, client):
    """This package does not use the module before the program does."""
    done = run(UNUSED_LAZY_IMPORT.format(client=client))
    assert (0, "", "_LazyModule\n") == (done.returncode, done.stderr, done.stdout)


EARLY_IMPORT = """
import json, os, sys
import {client} as client
url = os.environ["WIRE_URL"] + "/v1/chat/completions"
loaded = [name for name in sys.modules if name.startswith("opentelemetry")]
{call}
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def preloading_python(tmp_path_factory):
    """Makes an interpreter whose .pth file imports a client before sitecustomize runs."""

    def make_python(client):
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

    return make_python


@pytest.mark.parametrize("client", LISTED_CALLS)
def test_a_client_that_was_imported_before_the_bootstrap_is_instrumented(
    run, server, preloading_python, client
):
    """It loads nothing until it is used."""
    done = run(
        EARLY_IMPORT.format(client=client, call=CALLS[client]),
        env={"WIRE_URL": server.url},
        python=preloading_python(client),
    )
    assert (0, "", "[]\n") == (done.returncode, done.stderr, done.stdout)
    assert 1 == len(done.spans)
