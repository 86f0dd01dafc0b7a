"""Every end of a program: same status, same signal, same last words, and its calls arrive."""

import os
import signal

import pytest
from servers.pair import Case, Pairs, arrivals, check_arrived, check_transparent, parameters

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX only")

PRELUDE = "import atexit, os, signal, sys, threading, time\nfrom calls import call\n"


def ends(text, marks="a", **more):
    """A case that calls once and then ends so."""
    first = "call('a')\n" if "a" in (marks + more.get("unseen", "")).split() else ""
    return Case(f"{PRELUDE}{first}{text}\n", marks, **more)


def stopped(number, **more):
    """A case that a signal stops."""
    return ends(f"signal.raise_signal(signal.{number.name})", status=-number, **more)


HANDLED = "signal.signal(signal.SIGTERM, {handler})\nsignal.raise_signal(signal.SIGTERM)\n"
FROM_OUTSIDE = """
pid = os.getpid()
import subprocess
subprocess.Popen([sys.executable, "-I", "-c", f"import os; os.kill({pid}, {int(number)})"])
time.sleep(60)
"""
WHILE_IN_A_CALL = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
signal.signal(signal.SIGALRM, lambda *_: sys.exit(6))
signal.setitimer(signal.ITIMER_REAL, 0.3)
import http.client
connection = http.client.HTTPConnection(*listener.getsockname())
connection.request("GET", "/")
connection.getresponse()
"""
IMPORTS = {
    "an exit": ("sys.exit(9)", 9),
    "an exception": ("raise KeyError('theirs')", 1),
    "a missing module": ("import nowhere", 1),
    "a signal": ("signal.raise_signal(signal.SIGTERM)", -signal.SIGTERM),
}

CASES = {
    "the last line": ends("print('done')"),
    "an exception": ends("raise KeyError('theirs')", status=1),
    "an exception with a cause": ends(
        "try:\n    1 / 0\nexcept ZeroDivisionError as fault:\n    raise KeyError from fault", status=1
    ),
    "a status": ends("sys.exit(7)", status=7),
    "a status of none": ends("sys.exit()"),
    "a message": ends("sys.exit('theirs')", status=1),
    "an interrupt": ends("raise KeyboardInterrupt", status=-signal.SIGINT),
    "an interrupt in a line": Case(
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
    "an interrupt in a function": ends(
        "def work():\n    raise KeyboardInterrupt\nwork()", status=-signal.SIGINT
    ),
    "an interrupt at a prompt": Case(
        ["{python}", "-i", "-q"], "a",
        stdin="from calls import call\nraise KeyboardInterrupt\ncall('a')\n",
    ),
    "an interrupt in a code of the program's": ends(
        "import code\ncode.InteractiveInterpreter().runsource('raise KeyboardInterrupt')"
    ),
    "an interrupt, with a hook": ends(
        "sys.excepthook = lambda *_: print('hook')\nraise KeyboardInterrupt",
        status=-signal.SIGINT,
    ),
    "an exit hook": ends("sys.excepthook = lambda *_: print('hook')\nraise KeyError", status=1),
    "a failed call": Case(
        "import http.client\nhttp.client.HTTPConnection('127.0.0.1', 9).request('GET', '/')",
        status=1,
    ),
    "os._exit": ends("os._exit(5)", "", unseen="a", status=5),
    "os.abort": ends("os.abort()", "", unseen="a", status=-signal.SIGABRT),
    "SIGKILL": stopped(signal.SIGKILL, marks="", unseen="a"),
    "SIGINT": stopped(signal.SIGINT),
    "SIGINT from outside": ends(
        FROM_OUTSIDE.replace("{int(number)}", "2"), status=-signal.SIGINT, masked="line [0-9]+"
    ),
    "SIGINT that is caught": ends(
        "try:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    print('caught')"
    ),
    "SIGINT by default": ends(
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\nsignal.raise_signal(signal.SIGINT)",
        status=-signal.SIGINT,
    ),
    "SIGINT by default, from outside": ends(
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n" + FROM_OUTSIDE.replace("{int(number)}", "2"),
        "", unseen="a", status=-signal.SIGINT,
    ),
    "SIGTERM": stopped(signal.SIGTERM),
    "SIGTERM from outside": ends(
        FROM_OUTSIDE.replace("{int(number)}", "15"), status=-signal.SIGTERM
    ),
    "SIGTERM, handled by an exit": ends(
        HANDLED.format(handler="lambda *_: sys.exit(4)"), status=4
    ),
    "SIGTERM, handled by a line": ends(
        HANDLED.format(handler="lambda *seen: print('handled', seen[0])") + "print('on')"
    ),
    "SIGTERM, handled by a call": ends(
        HANDLED.format(handler="lambda *_: sys.exit(call('b'))"), "a b", status=29
    ),
    "SIGTERM, ignored": ends(HANDLED.format(handler="signal.SIG_IGN") + "print('on')"),
    "SIGTERM, handled and sent on": ends(
        "def again(number, _):\n"
        "    print('handled', flush=True)\n"
        "    signal.signal(number, signal.SIG_DFL)\n"
        "    os.kill(os.getpid(), number)\n" + HANDLED.format(handler="again") + "time.sleep(60)",
        status=-signal.SIGTERM,
    ),
    "SIGTERM, handled and sent to all of its group": ends(
        "def again(number, _):\n"
        "    signal.signal(number, signal.SIG_DFL)\n"
        "    os.killpg(0, number)\n" + HANDLED.format(handler="again"),
        status=-signal.SIGTERM,
    ),
    "SIGTERM to itself, but ignored": ends(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\nprint('on')"
    ),
    "SIGTERM to itself, but held back": ends(
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\nprint('on'); call('b')", "a b"
    ),
    "SIGUSR1 that is waited for": ends(
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n"
        + FROM_OUTSIDE.replace("{int(number)}", str(int(signal.SIGUSR1))).replace(
            "time.sleep(60)", "print(signal.sigwait([signal.SIGUSR1])); call('b')"
        ),
        "a b",
    ),
    "a signal that is none": ends(
        "for send in (signal.raise_signal, lambda n: os.kill(os.getpid(), n)):\n"
        "    for number in (999, 'x', None):\n"
        "        try:\n            send(number)\n"
        "        except Exception as error:\n            print(repr(error))"
    ),
    "what sends signals": ends(
        "import inspect\nfor f in (os.kill, os.killpg, signal.raise_signal, os.execv, os.execve):\n"
        "    print(f.__name__, f.__doc__, inspect.signature(f), f in os.supports_fd)\n"
        "    print(f, type('Class', (), {'attribute': f})().attribute is f)"
    ),
    "what handles signals": ends(
        "print([signal.getsignal(n) for n in range(1, 65)])",
        masked="0x[0-9a-f]+",
    ),
    "a handler set where nobody has": Case(
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
    "SIGHUP": stopped(signal.SIGHUP),
    "SIGUSR1": stopped(signal.SIGUSR1),
    "SIGUSR1 from outside": ends(
        FROM_OUTSIDE.replace("{int(number)}", str(int(signal.SIGUSR1))),
        "", unseen="a", status=-signal.SIGUSR1,
    ),
    "an alarm": ends(
        "signal.alarm(1)\ntime.sleep(60)", "", unseen="a", status=-signal.SIGALRM
    ),
    "an alarm, handled": ends(
        "signal.signal(signal.SIGALRM, lambda *_: sys.exit(2))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.1)\ntime.sleep(60)",
        status=2,
    ),
    "an alarm within a request": ends(WHILE_IN_A_CALL, status=6),
    "an exit in a thread": ends(
        "thread = threading.Thread(target=sys.exit, args=(3,))\nthread.start(); thread.join()"
    ),
    "an exception in a thread": ends(
        "thread = threading.Thread(target=int, args=('x',), name='t')\nthread.start(); thread.join()"
    ),
    "os._exit in a thread": ends(
        "threading.Thread(target=os._exit, args=(3,)).start()\ntime.sleep(60)",
        "", unseen="a", status=3,
    ),
    "an exit in a child": ends(
        "sys.stdout.flush()\nif not os.fork():\n    call('b'); sys.exit(3)\n"
        "print(os.wait()[1])",
        "b",
    ),
    "an exception in a child": ends(
        "if not os.fork():\n    call('b'); raise KeyError('theirs')\nprint(os.wait()[1])", "b"
    ),
    "exit handlers": ends(
        "atexit.register(print, 'first')\natexit.register(call, 'b')\natexit.register(print, 'last')",
        "a b",
    ),
    "an exit in an exit handler": ends("atexit.register(sys.exit, 5)", status=None),
    "an exception in an exit handler": ends("atexit.register(int, 'x')", status=None,
                                            masked="0x[0-9a-f]+"),
    "os._exit in an exit handler": ends(
        "atexit.register(os._exit, 5)", "", unseen="a", status=5
    ),
    "an object deleted at the end": ends(
        "class Last:\n    def __del__(self):\n        print('deleted')\nlast = Last()"
    ),
    "a thread that ends late": ends(
        "threading.Thread(target=lambda: (time.sleep(0.5), call('b'))).start()", "a b"
    ),
    "a daemonic thread that prints": ends(
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nprint('done')"
    ),
    **{
        f"{end} in the import of a client": Case(
            "import signal, sys\nimport requests",
            files={"requests/__init__.py": f"import signal, sys\nprint('importing')\n{text}"},
            status=status,
            masked=r"line \d+",
        )
        for end, (text, status) in IMPORTS.items()
    },
    "an exit in the import of a client's part": Case(
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


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Runs a case without us and with us."""
    return Pairs(CASES, tmp_path_factory.mktemp("endings") / "run")


@pytest.mark.parametrize("name", parameters(CASES))
def test_every_end_is_the_programs(name, pair):
    """Same status or signal, same last words."""
    check_transparent(CASES[name], pair(name))


@pytest.mark.parametrize("name", arrivals(CASES))
def test_what_was_called_before_arrives(name, pair):
    """Once."""
    check_arrived(CASES[name], pair(name))
