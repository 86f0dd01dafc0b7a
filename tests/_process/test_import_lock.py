"""Lazy imports: one thread at a time, and none while the program forks."""

import asyncio
import os
import subprocess
import sys
import threading
import types

import pytest

from lupis_instrument._process import import_lock

FORK = """
import os, signal, sys, threading
sys.path.insert(0, ".")
from lupis_instrument._process import fork
if os.environ["WATCHED"] == "no":
    fork.on_fork = lambda **_: None
from lupis_instrument._process import import_lock
begun = threading.Event()
sys.begun = begun
def load():
    import slow
thread = threading.Thread(target=import_lock.import_alone, args=(load,))
thread.start()
begun.wait()
child = os.fork()
if not child:
    signal.alarm(2)
    import slow
    os._exit(0)
thread.join()
print(os.waitpid(child, 0)[1])
"""
SLOW = "import sys, time\nsys.begun.set()\ntime.sleep(0.3)\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(("watched", "status"), [("yes", 0), ("no", 14)])
def test_a_fork_waits_for_an_import(tmp_path, watched, status):
    """Without the wait, the module stays locked in the child, and an alarm ends the child."""
    (tmp_path / "slow.py").write_text(SLOW)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        env={**os.environ, "WATCHED": watched},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (f"{status}\n", "") == (done.stdout, done.stderr)


def test_a_lazy_value_is_made_once():
    """The first caller makes it."""
    made = []
    lazy = import_lock.Lazy(lambda: made.append(1) or object())
    assert [] == made
    assert lazy.get() is lazy.get()
    assert [1] == made


def test_one_thread_imports_at_a_time():
    """A second thread waits for the first."""
    inside, go, order = threading.Event(), threading.Event(), []

    def first():
        inside.set()
        go.wait()
        order.append("first")

    threads = [threading.Thread(target=import_lock.import_alone, args=(first,))]
    threads[0].start()
    inside.wait()
    threads.append(
        threading.Thread(target=import_lock.import_alone, args=(lambda: order.append("second"),))
    )
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join()
    assert ["first", "second"] == order


def test_an_import_may_import():
    """The lock is reentrant."""
    assert 1 == import_lock.import_alone(lambda: import_lock.import_alone(lambda: 1))


def test_an_error_releases_the_lock():
    """The caller gets the error, and the next thread imports."""
    with pytest.raises(ZeroDivisionError):
        import_lock.import_alone(lambda: 1 / 0)
    thread = threading.Thread(target=import_lock.import_alone, args=(lambda: None,))
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize("is_loaded", [True, False])
def test_blockbuster_finds_no_event_loop_during_an_import(is_loaded, monkeypatch):
    """It would forbid the imports of the first call. Afterwards the loop is visible again."""
    if is_loaded:
        monkeypatch.setitem(sys.modules, "blockbuster", types.ModuleType("blockbuster"))

    def load():
        with pytest.raises(ZeroDivisionError):
            import_lock.import_alone(lambda: 1 / 0)
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            return None

    async def main():
        loop = asyncio.get_running_loop()
        assert (None if is_loaded else loop) is import_lock.import_alone(load)
        assert loop is asyncio.get_running_loop()

    asyncio.run(main())


def test_an_import_works_where_asyncio_cannot_hide_its_loop(monkeypatch):
    """Its low-level functions are undocumented and may disappear. The lock is released."""
    monkeypatch.setitem(sys.modules, "blockbuster", types.ModuleType("blockbuster"))
    monkeypatch.delattr(asyncio, "_set_running_loop")
    assert 1 == import_lock.import_alone(lambda: 1)
    other = threading.Thread(target=import_lock.import_alone, args=(int,))
    other.start()
    other.join(60)
    assert not other.is_alive()


def test_a_value_is_made_again_after_a_failed_import():
    """An import fails where the program restores `sys.modules` meanwhile."""
    failures = [KeyError("a"), ImportError("b")]

    def make():
        if failures:
            raise failures.pop()
        return "made"

    assert "made" == import_lock.Lazy(make).get()


def test_a_value_that_cannot_be_imported_is_not_made():
    """The caller gets the error."""
    tries = []

    def make():
        tries.append(1)
        raise ImportError

    with pytest.raises(ImportError):
        import_lock.Lazy(make).get()
    assert 3 == len(tries)
