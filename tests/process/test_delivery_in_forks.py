"""Parents and forked children deliver their own spans once."""

import os
from pathlib import Path
from textwrap import dedent

import pytest
from servers.caller import SPAN_IN_FLIGHT, list_marks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_parent_and_children_deliver_their_own_calls(run_caller, sink):
    """Each call arrives once, with the process id of its process."""
    done = run_caller(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        from lupislabs import LupisSDK
        sdk = LupisSDK.get_instance()
        call("0 sent before"); sdk.flush(5)
        call("0 waiting")
        for n in (1, 2):
            if not os.fork():
                call(f"{n} child"); call(f"{n} again")
                sdk.track_event(str(n))
                sys.exit(0)
        for _ in (1, 2):
            assert os.wait()[1] == 0
        call("0 after")
        """
    )
    assert "" == done.stderr
    pids = {}
    for span in sink.spans:
        process = span["attributes"]["http.request.header.x-mark"][0].split()[0]
        pids.setdefault(process, set()).add(span["resource"]["process.pid"])
    assert [
        "0 after", "0 sent before", "0 waiting", "1 again", "1 child", "2 again", "2 child",
    ] == list_marks(sink)  # fmt: skip
    assert [1, 1, 1] == [len(process_ids) for process_ids in pids.values()]
    assert 3 == len(set.union(*pids.values()))
    assert ["1", "2"] == sorted(event["name"] for event in sink.events)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_child_that_is_forked_during_calls_of_threads_works(run_caller, sink):
    """The parent's threads and their locks do not exist in the child."""
    done = run_caller(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        call("first")
        going = True
        def work():
            while going:
                call("parent")
        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        children = []
        for n in range(10):
            child = os.fork()
            if not child:
                call("child")
                sys.exit(0)
            children.append(child)
        statuses = [os.waitpid(child, 0)[1] for child in children]
        going = False
        [thread.join() for thread in threads]
        print(statuses)
        """
    )
    assert f"{[0] * 10}\n" == done.stdout
    assert 10 == list_marks(sink).count("child")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_fork_finds_no_thread_of_this_package(run_caller, sink):
    """Python 3.12 warns of a fork in a process with threads."""
    done = run_caller(
        """
        import warnings
        warnings.simplefilter("error")
        from lupislabs import LupisSDK
        sdk = LupisSDK.get_instance()
        call("before"); sdk.flush(5); call("waiting")
        sdk.track_event("e")
        if not os.fork():
            sys.exit(0)
        os.wait()
        call("after")
        """
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert ["after", "before", "waiting"] == list_marks(sink)


FORK_COUNT = 1000 if os.environ.get("LUPIS_TEST_ALL") else 8


FORKS_AMONG_THREADS = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    call("first")  # a fork during its imports would leave their locks held in a child
    going, counts = True, [0] * 4
    def work(number):
        while going:
            call(f"thread {number} {counts[number]}")
            counts[number] += 1
            time.sleep(0.01)  # a busy machine has time for the children
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    [thread.start() for thread in threads]
    statuses = set()
    for n in range(int(sys.argv[2])):
        child = os.fork()
        if not child:
            if n % 2:
                os.execv("/bin/true", ["true"])
            call(f"child {n}")
            sys.exit(0)
        statuses.add(os.waitpid(child, 0)[1])
    going = False
    [thread.join() for thread in threads]
    print(*statuses, *counts)
"""


@pytest.mark.slow
@pytest.mark.timeout(300 + 2 * FORK_COUNT)
@pytest.mark.skipif(not Path("/bin/true").exists(), reason="POSIX only")
def test_forks_during_calls_of_threads_lose_and_double_no_call(run_caller, sink):
    """Half of the children call, the others become another program."""
    env = {"LUPIS_SHUTDOWN_TIMEOUT": "20"}
    timeout = 240 + 2 * FORK_COUNT
    done = run_caller(FORKS_AMONG_THREADS, str(FORK_COUNT), env=env, timeout=timeout)
    status, *counts = map(int, done.stdout.split())
    called = [f"child {n}" for n in range(0, FORK_COUNT, 2)]
    called += ["first"]
    called += [f"thread {number} {n}" for number, count in enumerate(counts) for n in range(count)]
    assert (0, 0, "") == (done.returncode, status, done.stderr)
    assert sorted(called) == list_marks(sink)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_forks_do_not_wait_for_a_slow_collector(run_caller, sink):
    """Only the first forks wait for a moment."""
    sink.hang()
    text = """
        times = []
        for _ in range(40):
            began = time.monotonic()
            pid = os.fork()
            if not pid: os._exit(0)
            os.waitpid(pid, 0)
            times.append(time.monotonic() - began)
        print(sorted(times)[20])
    """
    done = run_caller(SPAN_IN_FLIGHT + dedent(text), env={"LUPIS_SHUTDOWN_TIMEOUT": "0.5"})
    assert float(done.stdout) < 0.2
