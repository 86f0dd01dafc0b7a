"""However a program ends, its status and last output stay the same, and its calls arrive."""

import os
import signal

import pytest
from servers.comparison import (
    Case,
    check_recorded_calls,
    check_same_behaviour,
    list_calling_cases,
    list_cases,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

PRELUDE = "import atexit, os, signal, sys, threading, time\nfrom calls import call\n"


def ends_with(text, recorded="a", **more):
    """A case of a program that makes a call, unless no mark is "a", and then ends by `text`."""
    first = "call('a')\n" if "a" in (recorded + more.get("unrecorded", "")).split() else ""
    return Case(f"{PRELUDE}{first}{text}\n", recorded, **more)


def ends_by_signal(number, **more):
    """A case of a program that a signal ends."""
    return ends_with(f"signal.raise_signal(signal.{number.name})", status=-number, **more)


RAISE_HANDLED = "signal.signal(signal.SIGTERM, {handler})\nsignal.raise_signal(signal.SIGTERM)\n"
SENT_BY_CHILD = """
pid = os.getpid()
import subprocess
subprocess.Popen([sys.executable, "-I", "-c", f"import os; os.kill({pid}, {int(number)})"])
time.sleep(60)
"""
ALARM_IN_REQUEST = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
signal.signal(signal.SIGALRM, lambda *_: sys.exit(6))
signal.setitimer(signal.ITIMER_REAL, 0.3)
import http.client
connection = http.client.HTTPConnection(*listener.getsockname())
connection.request("GET", "/")
connection.getresponse()
"""
IMPORT_ENDS = {
    "an exit": ("sys.exit(9)", 9),
    "an exception": ("raise KeyError('program')", 1),
    "a missing module": ("import nowhere", 1),
    "a signal": ("signal.raise_signal(signal.SIGTERM)", -signal.SIGTERM),
}

CASES = {
    "the end of the program": ends_with("print('done')"),
    "an exception": ends_with("raise KeyError('program')", status=1),
    "an exception with a cause": ends_with(
        "try:\n    1 / 0\nexcept ZeroDivisionError as fault:\n    raise KeyError from fault", status=1
    ),
    "an exit status": ends_with("sys.exit(7)", status=7),
    "an exit without a status": ends_with("sys.exit()"),
    "an exit with a message": ends_with("sys.exit('program')", status=1),
    "an interrupt": ends_with("raise KeyboardInterrupt", status=-signal.SIGINT),
    "an interrupt of a program on the command line": Case(
        ["{python}", "-c", PRELUDE + "call('a'); raise KeyboardInterrupt"], "a",
        status=-signal.SIGINT,
    ),
    "an interrupt on standard input": Case(
        ["{python}"], "a", stdin=PRELUDE + "call('a'); raise KeyboardInterrupt",
        status=-signal.SIGINT,
    ),
    "an interrupt in a module": Case(
        ["{python}", "-m", "module"], "a", status=-signal.SIGINT,
        files={"module.py": PRELUDE + "call('a'); raise KeyboardInterrupt"},
    ),
    "an interrupt in a function": ends_with(
        "def work():\n    raise KeyboardInterrupt\nwork()", status=-signal.SIGINT
    ),
    "an interrupt at a prompt": Case(
        ["{python}", "-i", "-q"], "a",
        stdin="from calls import call\nraise KeyboardInterrupt\ncall('a')\n",
    ),
    "an interrupt in an interpreter of the module code": ends_with(
        "import code\ncode.InteractiveInterpreter().runsource('raise KeyboardInterrupt')"
    ),
    "an interrupt, with an exception hook": ends_with(
        "sys.excepthook = lambda *_: print('hook')\nraise KeyboardInterrupt",
        status=-signal.SIGINT,
    ),
    "an exception, with an exception hook": ends_with("sys.excepthook = lambda *_: print('hook')\nraise KeyError", status=1),
    "a failed call": Case(
        "import http.client\nhttp.client.HTTPConnection('127.0.0.1', 9).request('GET', '/')",
        status=1,
    ),
    "os._exit": ends_with("os._exit(5)", "", unrecorded="a", status=5),
    "os.abort": ends_with("os.abort()", "", unrecorded="a", status=-signal.SIGABRT),
    "SIGKILL": ends_by_signal(signal.SIGKILL, recorded="", unrecorded="a"),
    "SIGINT": ends_by_signal(signal.SIGINT),
    "SIGINT from outside": ends_with(
        SENT_BY_CHILD.replace("{int(number)}", "2"), status=-signal.SIGINT, varying="line [0-9]+"
    ),
    "SIGINT that is caught": ends_with(
        "try:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    print('caught')"
    ),
    "SIGINT by default": ends_with(
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\nsignal.raise_signal(signal.SIGINT)",
        status=-signal.SIGINT,
    ),
    "SIGINT by default, from outside": ends_with(
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n" + SENT_BY_CHILD.replace("{int(number)}", "2"),
        "", unrecorded="a", status=-signal.SIGINT,
    ),
    "SIGTERM": ends_by_signal(signal.SIGTERM),
    "SIGTERM from outside": ends_with(
        SENT_BY_CHILD.replace("{int(number)}", "15"), status=-signal.SIGTERM
    ),
    "SIGTERM, handled by an exit": ends_with(
        RAISE_HANDLED.format(handler="lambda *_: sys.exit(4)"), status=4
    ),
    "SIGTERM, handled by a print": ends_with(
        RAISE_HANDLED.format(handler="lambda *seen: print('handled', seen[0])") + "print('on')"
    ),
    "SIGTERM, handled by a call": ends_with(
        RAISE_HANDLED.format(handler="lambda *_: sys.exit(call('b'))"), "a b", status=29
    ),
    "SIGTERM, ignored": ends_with(RAISE_HANDLED.format(handler="signal.SIG_IGN") + "print('on')"),
    "SIGTERM, handled and sent on": ends_with(
        "def again(number, _):\n"
        "    print('handled', flush=True)\n"
        "    signal.signal(number, signal.SIG_DFL)\n"
        "    os.kill(os.getpid(), number)\n" + RAISE_HANDLED.format(handler="again") + "time.sleep(60)",
        status=-signal.SIGTERM,
    ),
    "SIGTERM, handled and sent to all of its group": ends_with(
        "def again(number, _):\n"
        "    signal.signal(number, signal.SIG_DFL)\n"
        "    os.killpg(0, number)\n" + RAISE_HANDLED.format(handler="again"),
        status=-signal.SIGTERM,
    ),
    "SIGTERM to itself, but ignored": ends_with(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\nprint('on')"
    ),
    "a signal to itself, but blocked": ends_with(
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\nprint('on'); call('b')", "a b"
    ),
    "SIGUSR1, blocked and awaited": ends_with(
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
        + SENT_BY_CHILD.replace("{int(number)}", str(int(signal.SIGUSR1))).replace(
            "time.sleep(60)", "print(signal.sigwait([signal.SIGUSR1])); call('b')"
        ),
        "a b",
    ),
    "an invalid signal number": ends_with(
        "for send in (signal.raise_signal, lambda n: os.kill(os.getpid(), n)):\n"
        "    for number in (999, 'x', None):\n"
        "        try:\n            send(number)\n"
        "        except Exception as error:\n            print(repr(error))"
    ),
    "attributes of the functions that send signals": ends_with(
        "import inspect\nfor f in (os.kill, os.killpg, signal.raise_signal, os.execv, os.execve):\n"
        "    print(f.__name__, f.__doc__, inspect.signature(f), f in os.supports_fd)\n"
        "    print(f, type('Class', (), {'attribute': f})().attribute is f)"
    ),
    "signal handlers": ends_with(
        "print([signal.getsignal(n) for n in range(1, 65)])",
        varying="0x[0-9a-f]+",
    ),
    "a handler set after the first call": Case(
        PRELUDE + "call('a')\n"
        "if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:\n"
        "    print(signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)))\n"
        "signal.raise_signal(signal.SIGTERM)",
        "a",
        status=7,
    ),
    "a handler set before the first call": Case(
        PRELUDE + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(call('b')))\n"
        "call('a'); signal.raise_signal(signal.SIGTERM)",
        "a b",
        status=29,
    ),
    "SIGHUP": ends_by_signal(signal.SIGHUP),
    "SIGUSR1": ends_by_signal(signal.SIGUSR1),
    "SIGUSR1 from outside": ends_with(
        SENT_BY_CHILD.replace("{int(number)}", str(int(signal.SIGUSR1))),
        "", unrecorded="a", status=-signal.SIGUSR1,
    ),
    "an alarm": ends_with(
        "signal.alarm(1)\ntime.sleep(60)", "", unrecorded="a", status=-signal.SIGALRM
    ),
    "an alarm, handled": ends_with(
        "signal.signal(signal.SIGALRM, lambda *_: sys.exit(2))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.1)\ntime.sleep(60)",
        status=2,
    ),
    "an alarm during a request": ends_with(ALARM_IN_REQUEST, status=6),
    "an exit in a thread": ends_with(
        "thread = threading.Thread(target=sys.exit, args=(3,))\nthread.start(); thread.join()"
    ),
    "an exception in a thread": ends_with(
        "thread = threading.Thread(target=int, args=('x',), name='t')\nthread.start(); thread.join()"
    ),
    "os._exit in a thread": ends_with(
        "threading.Thread(target=os._exit, args=(3,)).start()\ntime.sleep(60)",
        "", unrecorded="a", status=3,
    ),
    "an exit in a child": ends_with(
        "sys.stdout.flush()\nif not os.fork():\n    call('b'); sys.exit(3)\n"
        "print(os.wait()[1])",
        "b",
    ),
    "an exception in a child": ends_with(
        "if not os.fork():\n    call('b'); raise KeyError('program')\nprint(os.wait()[1])", "b"
    ),
    "exit handlers": ends_with(
        "atexit.register(print, 'first')\natexit.register(call, 'b')\natexit.register(print, 'last')",
        "a b",
    ),
    "an exit in an exit handler": ends_with("atexit.register(sys.exit, 5)", status=None),
    "an exception in an exit handler": ends_with("atexit.register(int, 'x')", status=None,
                                            varying="0x[0-9a-f]+"),
    "os._exit in an exit handler": ends_with(
        "atexit.register(os._exit, 5)", "", unrecorded="a", status=5
    ),
    "an object with a finalizer": ends_with(
        "class Last:\n    def __del__(self):\n        print('deleted')\nlast = Last()"
    ),
    "a thread that ends late": ends_with(
        "threading.Thread(target=lambda: (time.sleep(0.5), call('b'))).start()", "a b"
    ),
    "a daemonic thread that prints": ends_with(
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nprint('done')"
    ),
    **{
        f"{end} in the import of a client": Case(
            "import signal, sys\nimport requests",
            files={"requests/__init__.py": f"import signal, sys\nprint('importing')\n{text}"},
            status=status,
            varying=r"line \d+",
        )
        for end, (text, status) in IMPORT_ENDS.items()
    },
    "an exit in the import of a client's submodule": Case(
        "import aiohttp",
        files={"aiohttp/__init__.py": "import aiohttp.client",
               "aiohttp/client.py": "raise SystemExit(8)"},
        status=8,
    ),
    "an error in the import of a client, caught": Case(
        PRELUDE + "try:\n    import httpx\nexcept ImportError as fault:\n    print(repr(fault))\n"
        "call('a')",
        "a",
        files={"httpx.py": "import nowhere"},
    ),
}  # fmt: skip
FAST_CASES = (
    "the end of the program",
    "an exception",
    "an exit status",
    "an interrupt",
    "a failed call",
    "os._exit",
    "SIGKILL",
    "SIGTERM",
    "SIGTERM, ignored",
    "an exception in a thread",
    "an exit in a child",
    "exit handlers",
    "a daemonic thread that prints",
    "an exit in the import of a client's submodule",
)
"""The cases that stand for the others in `make test`."""


@pytest.mark.parametrize("name", list_cases(CASES, FAST_CASES))
def test_status_and_last_output_stay_the_same(name, run_pair):
    """So do files and the calls that the provider receives."""
    check_same_behaviour(CASES[name], run_pair(name))


@pytest.mark.parametrize("name", list_calling_cases(CASES, FAST_CASES))
def test_calls_before_the_end_are_received_once(name, run_pair):
    """This excludes ends that leave a process no time."""
    check_recorded_calls(CASES[name], run_pair(name))
