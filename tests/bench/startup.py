"""Measures the start: the launcher, the bootstrap, the first call with its imports, and memory.

    python tests/bench/startup.py [--rounds 15] [--clients httpx,requests] [--peers all]

Each program runs bare and with each launcher in turn, so that other load on the machine affects all
of them. The figures are medians over the rounds. "answer" is the time from the launch until the
program has read the response to its call; "end" is the time until it has ended and its span is
delivered; "cpu" is the CPU time of all threads until then. Memory is the resident set of an idle
program, and of a program whose call has been delivered. The ratios matter: our time to the time of
bare Python, and the time that we add to the time that `opentelemetry-instrument` adds, which sends
traces, metrics and logs by OTLP/HTTP. "by hand" is a program that sets up the SDK and the client's
OpenTelemetry instrumentor before its call, without an exporter: the minimum for all who load them.

The last table is the reason to load the runtime at the first request, and not in a thread that
starts when the program has imported the client.

`--peers` also measures other launchers, each in its own temporary environment:
`--peers ddtrace,logfire`, or `all`.
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
"""Code between the import of the client and the first request."""

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
"""Simulates a bootstrap that loads in the background when the client is imported."""

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
        # Without a release of OpenTelemetry that was published only in part: pip would search
        # for packages that fit it without end.
        ["openlit", "opentelemetry-api!=1.45.2", "opentelemetry-sdk!=1.45.2"],
        ["openlit-instrument", "python"],
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{base}"},
    ),
}
"""By name: the packages to install, the command that runs Python, and its variables."""


def read_child_cpu():
    """Return the CPU seconds of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Launcher:
    """A command that runs a Python program, and its environment variables."""

    def __init__(self, command, env):
        self.command = command
        self.env = env

    def run(self, program, env):
        """Run a program; return the seconds to its answer and its end, CPU seconds, and memory in MB."""
        before, began = read_child_cpu(), time.monotonic()
        done = subprocess.run(
            [*self.command, str(program)],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        ended = time.monotonic() - began
        cpu = read_child_cpu() - before
        if done.returncode:
            raise SystemExit(f"{' '.join(self.command)}: status {done.returncode}\n{done.stderr}")
        answered, pages = map(float, ["nan", "nan", *done.stdout.split()][-2:])
        return answered - began, ended, cpu, pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(launchers, programs, rounds, **env):
    """Return the medians of the results of `Launcher.run`, by launcher; rounds are interleaved.

    `programs` is a path, or a path for each launcher.
    """
    if isinstance(programs, Path):
        programs = dict.fromkeys(launchers, programs)
    runs = {name: [] for name in launchers}
    for _ in range(rounds + 1):
        for name, launcher in launchers.items():
            runs[name].append(launcher.run(programs[name], env))
    # The first round read from a cold disk and wrote bytecode.
    return {
        name: [statistics.median(column[1:]) for column in zip(*runs[name])] for name in launchers
    }


def clean_environment():
    """Return the environment variables without the variables of tracers and Python."""
    foreign = ("LUPIS_", "OTEL_", "PYTHON")
    return {name: text for name, text in os.environ.items() if not name.startswith(foreign)}


def list_launchers(base):
    """Return bare Python, our bootstrap alone, lupis-run and OpenTelemetry's launcher by name."""
    from lupis_instrument._cli.run.locations import find_bootstrap_folder

    scripts = Path(sys.executable).parent
    own = {**clean_environment(), "BENCH_URL": base}
    lupis = {**own, "LUPIS_OTLP_ENDPOINT": base + "/v1/traces"}
    theirs = {"OTEL_EXPORTER_OTLP_ENDPOINT": base, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    return {
        "bare": Launcher([sys.executable], own),
        "bootstrap": Launcher([sys.executable], {**lupis, "PYTHONPATH": find_bootstrap_folder()}),
        "lupis-run": Launcher([str(scripts / "lupis-run"), sys.executable], lupis),
        PEER: Launcher([str(scripts / PEER), sys.executable], {**own, **theirs}),
    }


def write_program(folder, name, imports="", between="", call=""):
    """Write a program to the folder, and return its path."""
    path = Path(folder, f"{name}.py")
    path.write_text(PROGRAM.format(imports=imports, between=between, call=call))
    return path


def report_idle(launchers, folder, rounds):
    """Report a program that does nothing, and a program that only imports a client."""
    empty = Path(folder, "pass.py")
    empty.write_text("pass")
    for program in (empty, write_program(folder, "import httpx", IMPORTS["httpx"])):
        medians = measure(launchers, program, rounds)
        for name, (_, end, *_) in medians.items():
            print(
                f"{program.stem:14} {name:26} {end * MS:6.1f} ms   {end / medians['bare'][1]:5.2f} x bare"
                f"   1/{medians[PEER][1] / end:4.1f} x {PEER}",
                flush=True,
            )


def report_calls(launchers, folder, rounds, clients):
    """Report the time that a program with one call pays, compared with the peer."""
    for client in clients:
        plain = write_program(folder, "call", IMPORTS[client], call=CALLS[client])
        shown, programs = dict(launchers), dict.fromkeys(launchers, plain)
        if client in INSTRUMENTORS:
            module, name = INSTRUMENTORS[client]
            between = BY_HAND.format(module=module, name=name)
            shown["by hand"] = launchers["bare"]
            programs["by hand"] = write_program(
                folder, "hand", IMPORTS[client], between, CALLS[client]
            )
        medians = measure(shown, programs, rounds)
        for column, figure in enumerate(FIGURES):
            bare = medians["bare"][column]
            added = {name: (row[column] - bare) * MS for name, row in medians.items()}
            peer = added[PEER]
            ratios = "".join(
                f"   {name} +{added[name]:6.1f}, ratio {added[name] / peer:.2f}"
                for name in ("by hand", "bootstrap", "lupis-run")
                if name in added
            )
            start = f"{client:12} {figure:6} bare {bare * MS:6.1f} ms   peer +{peer:6.1f}"
            print(start + ratios, flush=True)


def report_memory(launchers, folder, rounds):
    """Report the memory that is added, at idle and after the delivery of a span."""
    idle = write_program(folder, "idle")
    call = write_program(folder, "one call", IMPORTS["httpx"], call=CALLS["httpx"])
    soon = {"BENCH_SLEEP": "1.5", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    for program, env in ((idle, {}), (call, soon)):
        medians = measure(launchers, program, rounds, **env)
        for name, (*_, memory) in medians.items():
            added = memory - medians["bare"][3]
            print(f"{program.stem:14} {name:26} {memory:6.1f} MB   +{added:5.2f}", flush=True)


def report_load_times(launchers, folder, rounds):
    """Report the time that a program waits if it loads at the first request, or at the import."""
    launchers = {
        "bare": launchers["bare"],
        "request": launchers["bootstrap"],
        "import": launchers["bootstrap"],
    }
    shapes = {name: (between, CALLS["httpx"]) for name, between in BETWEEN.items()}
    for name, (between, call) in {**shapes, "never": ("", "")}.items():
        plain = write_program(folder, "plain", IMPORTS["httpx"], between, call)
        load = AHEAD.format(module="httpx")
        ahead = write_program(folder, "ahead", IMPORTS["httpx"] + load, between, call)
        medians = measure(launchers, {"bare": plain, "request": plain, "import": ahead}, rounds)
        for column, figure in enumerate(FIGURES):
            bare = medians["bare"][column]
            request, imported = (
                (medians[name][column] - bare) * MS for name in ("request", "import")
            )
            print(
                f"{name:26} {figure:6} at the request +{request:6.1f} ms"
                f"   at the import +{imported:6.1f}",
                flush=True,
            )


def report_peer(name, base, rounds):
    """Report the cost of another launcher, in a temporary environment."""
    packages, command, variables = PEERS[name]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(Path(folder, "venv"), with_pip=True)
        scripts = Path(folder, "venv", "bin")
        install = [str(scripts / "pip"), "install", "--quiet", "httpx", *packages]
        subprocess.run(install, check=True)
        own = {**clean_environment(), "BENCH_URL": base, "VIRTUAL_ENV": str(scripts.parent)}
        own["PATH"] = os.pathsep.join([str(scripts), own.get("PATH", os.defpath)])
        theirs = {key: text.format(base=base) for key, text in variables.items()}
        launchers = {
            "bare": Launcher([str(scripts / "python")], own),
            name: Launcher([str(scripts / command[0]), *command[1:]], {**own, **theirs}),
        }
        empty = Path(folder, "pass.py")
        empty.write_text("pass")
        call = write_program(folder, "one call", IMPORTS["httpx"], call=CALLS["httpx"])
        for program in (empty, call, write_program(folder, "idle")):
            medians = measure(launchers, program, rounds)
            bare, (answer, end, cpu, memory) = medians["bare"], medians[name]
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
        launchers = list_launchers(base)
        try:
            with tempfile.TemporaryDirectory() as folder:
                report_idle(launchers, folder, options.rounds)
                report_calls(launchers, folder, options.rounds, options.clients.split(","))
                report_memory(launchers, folder, options.rounds)
                report_load_times(launchers, folder, options.rounds)
            for name in peers:
                report_peer(name, base, options.rounds)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
