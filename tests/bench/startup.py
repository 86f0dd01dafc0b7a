"""What starting costs: the launcher, the bootstrap, the first call and all it loads; and memory.

    python tests/bench/startup.py [--rounds 15] [--clients httpx,requests] [--peers all]

Each program runs bare and under each way of instrumenting it, in turn, so that whatever the machine
does meets all of them; figures are medians over the rounds. "answer" is the time from the launch
until the program has read the answer to its call; "end" until it has ended and its span is
delivered; "cpu" is what is computed meanwhile, whichever thread does it. Memory is the resident set
of a program that is idle, and of one whose call has been delivered. What matters are ratios: ours
to bare Python, and what ours adds to what `opentelemetry-instrument` adds, which sends traces,
metrics and logs by OTLP/HTTP. "by hand" is a program that sets up the SDK and the client's upstream
instrumentor before its call, and no exporter: what none who loads them can do without.

The last table is what the place of loading was decided by: at the first request, as it is done, or
in a thread that starts when the program has imported the client.

`--peers` measures other launchers too, each in an environment of its own that is thrown away
afterwards: `--peers ddtrace,logfire`, or `all`.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from importlib.util import find_spec
from pathlib import Path

from call import INSTRUMENTORS

SERVER = str(Path(__file__).with_name("call.py"))
MS = 1e3
FIGURES = ("answer", "end", "cpu")
PEER = "opentelemetry-instrument"

IMPORTS = {
    "http.client": "import http.client",
    "urllib3": "import urllib3",
    "requests": "import requests",
    "httpx": "import httpx",
    "httpx2": "import httpx2",
    "aiohttp": "import aiohttp, asyncio",
    "openai": "import openai",
}
CALLS = {
    "http.client": """
connection = http.client.HTTPConnection(base.partition("://")[2])
connection.request("POST", path, b"{}")
connection.getresponse().read()""",
    "urllib3": "urllib3.PoolManager().request('POST', base + path, body=b'{}')",
    "requests": "requests.post(base + path, data=b'{}')",
    "httpx": "httpx.post(base + path, content=b'{}')",
    "httpx2": "httpx2.post(base + path, content=b'{}')",
    "aiohttp": """
async def post():
    async with aiohttp.ClientSession() as session:
        async with session.post(base + path, data=b"{}") as response:
            await response.read()
asyncio.run(post())""",
    "openai": """
client = openai.OpenAI(base_url=base + "/v1", api_key="none")
client.chat.completions.with_raw_response.create(model="model", messages=[])""",
}
PROGRAM = """
import os, sys, time
{imports}
{between}
base, path = os.environ["BENCH_URL"], "/v1/chat/completions"
{call}
answered = time.monotonic()
time.sleep(float(os.environ.get("BENCH_SLEEP", "0")))
print(answered, open("/proc/self/statm").read().split()[1])
"""
BETWEEN = {
    "at once": "",
    "after computing for 0.3 s": "end = time.thread_time() + 0.3\nwhile time.thread_time() < end: pass",
    "after waiting for 0.3 s": "time.sleep(0.3)",
}
"""What the program does between importing the client and its first request."""

BY_HAND = """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.instrumentation.{module} import {name}
{name}().instrument(tracer_provider=TracerProvider())
"""

AHEAD = """
import threading
def load():
    from lupis_instrument._runtime import bootstrap
    bootstrap.load_runtime()
    from lupis_instrument._runtime import current as _runtime
    _runtime.start_runtime()
    import opentelemetry.instrumentation.{module}
threading.Thread(target=load, daemon=True).start()
"""
"""Stands in for a bootstrap that would load in the background when the client is imported."""

PEERS = {
    "ddtrace": (["ddtrace"], ["ddtrace-run", "python"], {"DD_TRACE_AGENT_URL": "{base}"}),
    "logfire": (
        ["logfire[httpx,requests]"],
        ["logfire", "run", "--no-summary"],
        {"LOGFIRE_SEND_TO_LOGFIRE": "false", "LOGFIRE_CONSOLE": "false"},
    ),
    "newrelic": (
        ["newrelic"],
        ["newrelic-admin", "run-program", "python"],
        {"NEW_RELIC_DEVELOPER_MODE": "true", "NEW_RELIC_LOG_LEVEL": "critical"},
    ),
    "openlit": (
        # Less a release of OpenTelemetry that came in part: pip would try what fits it for ever.
        ["openlit", "opentelemetry-api!=1.45.2", "opentelemetry-sdk!=1.45.2"],
        ["openlit-instrument", "python"],
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{base}"},
    ),
}
"""By name: what is installed, the command that runs Python, and its variables."""


def computed():
    """Seconds of CPU that children which have ended used."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Way:
    """One way to run a Python program: what stands before its path, and the variables."""

    def __init__(self, command, env):
        self.command = command
        self.env = env

    def run(self, program, env):
        """Runs it; returns seconds until its answer, until its end, and of CPU, and its memory in MB."""
        before, began = computed(), time.monotonic()
        done = subprocess.run(
            [*self.command, str(program)],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        ended = time.monotonic() - began
        cpu = computed() - before
        if done.returncode:
            raise SystemExit(f"{' '.join(self.command)}: status {done.returncode}\n{done.stderr}")
        answered, pages = map(float, ["nan", "nan", *done.stdout.split()][-2:])
        return answered - began, ended, cpu, pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(ways, programs, rounds, **env):
    """Medians of what `Way.run` returns, by way, interleaved.

    `programs` is a path, or by way the path of what it runs.
    """
    if isinstance(programs, Path):
        programs = dict.fromkeys(ways, programs)
    runs = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            runs[name].append(way.run(programs[name], env))
    # The first round met a cold disk, and wrote bytecode.
    return {name: [statistics.median(each[1:]) for each in zip(*runs[name])] for name in ways}


def own_environment():
    """The variables without those of tracers and Python."""
    foreign = ("LUPIS_", "OTEL_", "PYTHON")
    return {name: text for name, text in os.environ.items() if not name.startswith(foreign)}


def find_ways(base):
    """By name: bare Python, our bootstrap alone, our launcher, and OpenTelemetry's."""
    from lupis_instrument._cli.run.locations import find_bootstrap_folder

    scripts = Path(sys.executable).parent
    own = {**own_environment(), "BENCH_URL": base}
    ours = {**own, "LUPIS_OTLP_ENDPOINT": base + "/v1/traces"}
    theirs = {"OTEL_EXPORTER_OTLP_ENDPOINT": base, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    return {
        "bare": Way([sys.executable], own),
        "bootstrap": Way([sys.executable], {**ours, "PYTHONPATH": find_bootstrap_folder()}),
        "lupis-run": Way([str(scripts / "lupis-run"), sys.executable], ours),
        PEER: Way([str(scripts / PEER), sys.executable], {**own, **theirs}),
    }


def write(folder, name, imports="", between="", call=""):
    """Writes a program and returns its path."""
    path = Path(folder, f"{name}.py")
    path.write_text(PROGRAM.format(imports=imports, between=between, call=call))
    return path


def report_idle(ways, folder, rounds):
    """A program that does nothing, and one that only imports a client."""
    empty = Path(folder, "pass.py")
    empty.write_text("pass")
    for program in (empty, write(folder, "import httpx", IMPORTS["httpx"])):
        found = measure(ways, program, rounds)
        for name, (_, end, *_) in found.items():
            print(
                f"{program.stem:14} {name:26} {end * MS:6.1f} ms   {end / found['bare'][1]:5.2f} x bare"
                f"   1/{found[PEER][1] / end:4.1f} x {PEER}",
                flush=True,
            )


def report_calls(ways, folder, rounds, clients):
    """What a program with one call pays, and how that compares."""
    for client in clients:
        plain = write(folder, "call", IMPORTS[client], call=CALLS[client])
        shown, programs = dict(ways), dict.fromkeys(ways, plain)
        if client in INSTRUMENTORS:
            module, name = INSTRUMENTORS[client]
            between = BY_HAND.format(module=module, name=name)
            shown["by hand"] = ways["bare"]
            programs["by hand"] = write(folder, "hand", IMPORTS[client], between, CALLS[client])
        found = measure(shown, programs, rounds)
        for column, figure in enumerate(FIGURES):
            bare = found["bare"][column]
            added = {name: (each[column] - bare) * MS for name, each in found.items()}
            peer = added[PEER]
            ratios = "".join(
                f"   {name} +{added[name]:6.1f}, ratio {added[name] / peer:.2f}"
                for name in ("by hand", "bootstrap", "lupis-run")
                if name in added
            )
            start = f"{client:12} {figure:6} bare {bare * MS:6.1f} ms   peer +{peer:6.1f}"
            print(start + ratios, flush=True)


def report_memory(ways, folder, rounds):
    """What is added to the resident set, at idle and when a span has been delivered."""
    idle = write(folder, "idle")
    call = write(folder, "one call", IMPORTS["httpx"], call=CALLS["httpx"])
    soon = {"BENCH_SLEEP": "1.5", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    for program, env in ((idle, {}), (call, soon)):
        found = measure(ways, program, rounds, **env)
        for name, (*_, memory) in found.items():
            added = memory - found["bare"][3]
            print(f"{program.stem:14} {name:26} {memory:6.1f} MB   +{added:5.2f}", flush=True)


def report_places(ways, folder, rounds):
    """What a program waits in all when loading begins at the first request, or at the import."""
    ways = {
        "bare": ways["bare"],
        "request": ways["bootstrap"],
        "import": ways["bootstrap"],
    }
    shapes = {name: (between, CALLS["httpx"]) for name, between in BETWEEN.items()}
    for name, (between, call) in {**shapes, "never": ("", "")}.items():
        plain = write(folder, "plain", IMPORTS["httpx"], between, call)
        load = AHEAD.format(module="httpx")
        ahead = write(folder, "ahead", IMPORTS["httpx"] + load, between, call)
        found = measure(ways, {"bare": plain, "request": plain, "import": ahead}, rounds)
        for column, figure in enumerate(FIGURES):
            bare = found["bare"][column]
            request, imported = ((found[way][column] - bare) * MS for way in ("request", "import"))
            print(
                f"{name:26} {figure:6} at the request +{request:6.1f} ms"
                f"   at the import +{imported:6.1f}",
                flush=True,
            )


def report_peer(name, base, rounds):
    """What another launcher costs, in an environment that is made for it and thrown away."""
    packages, command, variables = PEERS[name]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(Path(folder, "venv"), with_pip=True)
        scripts = Path(folder, "venv", "bin")
        install = [str(scripts / "pip"), "install", "--quiet", "httpx", *packages]
        subprocess.run(install, check=True)
        own = {**own_environment(), "BENCH_URL": base, "VIRTUAL_ENV": str(scripts.parent)}
        own["PATH"] = os.pathsep.join([str(scripts), own.get("PATH", os.defpath)])
        theirs = {key: text.format(base=base) for key, text in variables.items()}
        ways = {
            "bare": Way([str(scripts / "python")], own),
            name: Way([str(scripts / command[0]), *command[1:]], {**own, **theirs}),
        }
        empty = Path(folder, "pass.py")
        empty.write_text("pass")
        call = write(folder, "one call", IMPORTS["httpx"], call=CALLS["httpx"])
        for program in (empty, call, write(folder, "idle")):
            found = measure(ways, program, rounds)
            bare, (answer, end, cpu, memory) = found["bare"], found[name]
            print(
                f"{name:10} {program.stem:9} bare {bare[1] * MS:6.1f} ms"
                f"   answer +{(answer - bare[0]) * MS:6.1f}   end +{(end - bare[1]) * MS:6.1f}"
                f"   cpu +{(cpu - bare[2]) * MS:6.1f}   memory +{memory - bare[3]:5.1f} MB",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clients", default=",".join(filter(find_spec, IMPORTS)))
    parser.add_argument("--peers", default="", help=f"of {', '.join(PEERS)}, or all")
    options = parser.parse_args()
    peers = list(PEERS) if options.peers == "all" else [*filter(None, options.peers.split(","))]
    command = [sys.executable, SERVER, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        base = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        ways = find_ways(base)
        try:
            with tempfile.TemporaryDirectory() as folder:
                report_idle(ways, folder, options.rounds)
                report_calls(ways, folder, options.rounds, options.clients.split(","))
                report_memory(ways, folder, options.rounds)
                report_places(ways, folder, options.rounds)
            for name in peers:
                report_peer(name, base, options.rounds)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
