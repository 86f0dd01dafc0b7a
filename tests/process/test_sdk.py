"""`LupisSDK` in programs, with lupis-run and without it."""

import os
import subprocess
from textwrap import dedent

import pytest
from servers.program import ManagedProcess

PRELUDE = """
import asyncio, json, sys, threading, urllib.request
from lupislabs import LupisBlockOptions, LupisConfig, LupisMetadata, LupisSDK

ENDPOINT, LLM = sys.argv[1:3]

def call(mark="", model="gpt-4o-mini"):
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"content-type": "application/json", "x-mark": mark}
    request = urllib.request.Request(
        LLM + "/v1/chat/completions", json.dumps(body).encode(), headers
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read()
"""
INIT = "sdk = LupisSDK.init(LupisConfig(project_id='shop', otlp_endpoint=ENDPOINT))\n"
GET = "sdk = LupisSDK.get_instance()\n"


def build_program(text):
    """Returns a program with the common beginning of these tests' programs."""
    return PRELUDE + dedent(text)


@pytest.fixture
def run_program(run, sink, llm):
    """Runs a program to its end; `status` is its expected exit status."""

    def run_program(text, *, endpoint=None, status=0, **options):
        done = run(build_program(text), endpoint or sink.traces_url, llm.url, **options)
        assert status == done.returncode, done.stderr
        return done

    return run_program


def events_by_name(sink):
    """Returns the events that the collector received, by name."""
    return {event["name"]: event for event in sink.events}


def chat_ids_by_mark(sink):
    """Returns the chat id of each call, by the mark in its header."""
    return {
        span["attributes"]["http.request.header.x-mark"][0]: span["attributes"].get("lupis.chat.id")
        for span in sink.spans
    }


# The instance


@pytest.mark.slow
def test_the_documented_lines_work_with_lupis_run(run_program, sink):
    """The program needs no configuration."""
    done = run_program("LupisSDK.get_instance().track_event('feature_used', {'feature': 'export'})")
    (event,) = sink.events
    assert ("feature_used", {"feature": "export"}) == (event["name"], event["properties"])
    assert ("", "") == (done.stdout, done.stderr)


def test_there_is_no_instance_without_lupis_run_and_init(run_program):
    """`get_instance` returns None then."""
    assert "None\n" == run_program("print(LupisSDK.get_instance())", launched=False).stdout


def test_init_works_without_lupis_run(run_program, sink):
    """The config decides where calls and events arrive."""
    done = run_program(
        """
        assert LupisSDK.get_instance() is None
        sdk = LupisSDK.init(LupisConfig(
            project_id="shop", api_key="k1", service_name="till", service_version="2",
            otlp_endpoint=ENDPOINT,
        ))
        assert sdk is LupisSDK.get_instance() and sdk.is_enabled()
        sdk.track_event("started")
        call("one")
        """,
        launched=False,
        env={"LUPIS_OTLP_ENDPOINT": ""},
    )
    (span,) = sink.spans
    expected = {"service.name": "till", "service.version": "2", "lupis.project.id": "shop"}
    assert expected.items() <= span["resource"].items()
    assert ["started"] == [event["name"] for event in sink.events]
    for request in sink.requests:
        assert ("shop", "k1") == (request.headers["x-project-id"], request.headers["x-api-key"])
    assert ("", "") == (done.stdout, done.stderr)


def test_simultaneous_inits_make_one_instance(run_program, sink):
    """A call has one span."""
    text = """
        ready, made = threading.Barrier(8), []
        def init():
            ready.wait()
            made.append(LupisSDK.init(LupisConfig(project_id="shop", otlp_endpoint=ENDPOINT)))
        threads = [threading.Thread(target=init) for _ in range(8)]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]
        made.append(LupisSDK.init(LupisConfig(project_id="other")))
        call()
        print(len(made), len(set(map(id, made))))
        """
    done = run_program(text, launched=False)
    assert ("9 1\n", "") == (done.stdout, done.stderr)
    assert ["shop"] == [span["resource"]["lupis.project.id"] for span in sink.spans]


@pytest.mark.slow
def test_variables_override_the_config_with_lupis_run(run_program, sink):
    """The config sets the other settings; one line names the ignored settings."""
    text = """
        assert LupisSDK.get_instance() is not None
        call("before")
        config = LupisConfig(project_id="config", service_name="till", api_key="k2")
        for _ in range(2):
            assert LupisSDK.init(config) is LupisSDK.get_instance()
        call("after")
        """
    done = run_program(text, env={"LUPIS_PROJECT_ID": "variable", "LUPIS_EXPORTER": "otlp"})
    (line,) = done.stderr.splitlines()
    assert "LupisConfig(project_id='config') is ignored" in line
    last = next(s for s in sink.spans if s["attributes"]["http.request.header.x-mark"] == ["after"])
    assert ("variable", "till") == (
        last["resource"]["lupis.project.id"],
        last["resource"]["service.name"],
    )
    assert "k2" == sink.requests[-1].headers["x-api-key"]


# Switched off

PRINT_PATCHES = """
import http.client
print(http.client.HTTPConnection.send.__module__, "opentelemetry" in sys.modules, flush=True)
"""


@pytest.mark.parametrize(
    ("config", "env"),
    [
        ("enabled=False", {}),
        ("", {"LUPIS_ENABLED": "false"}),
        ("", {"LUPIS_SDK_ENABLED": "0"}),
        ("", {"OTEL_SDK_DISABLED": "true"}),
    ],
)
def test_a_switched_off_instance_patches_and_sends_nothing(config, env, run_program, sink):
    """The config or a variable switches it off; all methods still work."""
    text = f"""
        sdk = LupisSDK.init(LupisConfig(project_id="p", otlp_endpoint=ENDPOINT, {config}))
        sdk.track_event("unsent")
        sdk.set_chat_id("trip")
        with sdk.create_span("work"), sdk.conversation("other"):
            call()
        print(sdk.is_enabled(), sdk.flush(1))
        asyncio.run(sdk.run(call, LupisBlockOptions(chat_id="c")))
        sdk.shutdown_sync()
        """
    done = run_program(dedent(text) + PRINT_PATCHES, launched=False, env=env)
    assert ("False True\nhttp.client True\n", "") == (done.stdout, done.stderr)
    assert [] == sink.requests


@pytest.mark.slow
@pytest.mark.parametrize("env", [{"LUPIS_ENABLED": "false"}, {"OTEL_SDK_DISABLED": "true"}])
def test_a_variable_switches_off_a_launched_program(env, run_program, sink):
    """There is still an instance, and the variable overrides the config."""
    text = """
        sdk = LupisSDK.get_instance()
        sdk.track_event("unsent")
        LupisSDK.init(LupisConfig(project_id="p", enabled=True)).track_event("unsent")
        call()
        print(sdk.is_enabled())
        """
    done = run_program(dedent(text) + PRINT_PATCHES, env=env)
    assert "False\nhttp.client False\n" == done.stdout
    assert [] == sink.requests


@pytest.mark.slow
def test_a_later_config_may_switch_off(run_program, sink):
    """Later calls and events are not sent, unless a variable says otherwise."""
    text = """
        call("before")
        LupisSDK.get_instance().flush(5)
        sdk = LupisSDK.init(LupisConfig(project_id="p", enabled=False))
        sdk.track_event("unsent")
        call("after")
        print(sdk.is_enabled())
        """
    assert "False\n" == run_program(text).stdout
    assert {"before"} == set(chat_ids_by_mark(sink))


# Events


def test_events_arrive_from_threads_a_loop_and_after_shutdown(run_program, sink):
    """Each event arrives once."""
    text = """
        threads = [
            threading.Thread(target=sdk.track_event, args=(f"thread-{n}",)) for n in range(20)
        ]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]
        async def main():
            sdk.track_event("loop")
            await sdk.shutdown()
            sdk.track_event("after shutdown")
        asyncio.run(main())
        sdk.track_event("later")
        """
    done = run_program(GET + dedent(text))
    names = {*(f"thread-{number}" for number in range(20)), "loop", "after shutdown", "later"}
    assert names == set(events_by_name(sink))
    assert len(names) == len(sink.events)
    assert "" == done.stderr


@pytest.mark.slow
def test_an_event_with_unusual_properties_is_sent(run_program, sink):
    """Markers replace the values; tests/_tracing/test_events.py has each kind."""
    text = """
        class Hostile:
            def __repr__(self): raise RuntimeError
            __str__ = __repr__
        cycle = []; cycle.append(cycle)
        sdk.track_event("odd", {
            "nan": float("nan"), "cycle": cycle, "bytes": b"x", "huge": "x" * 10**6,
            "hostile": Hostile(), Hostile(): 1, "int": 10**5000, "half": chr(0xd800),
        })
        sdk.track_event("list", ["no", "mapping"])
        sdk.track_event(Hostile())
        sdk.track_event(None, None, None)
        sdk.track_event("wrong metadata", {}, "x")
        sdk.track_event("last")
        """
    done = run_program(GET + dedent(text))
    events = events_by_name(sink)
    assert {"odd", "list", "[Hostile]", "None", "last"} == set(events)
    odd = events["odd"]["properties"]
    assert ("[nan]", ["[cyclic]"], "[bytes]", "[Hostile]") == tuple(
        odd[name] for name in ("nan", "cycle", "bytes", "hostile")
    )
    assert 1 == len(done.stderr.splitlines())
    assert "tracking an event failed: expected LupisMetadata" in done.stderr


@pytest.mark.slow
def test_the_metadata_of_an_event_overrides_the_current_metadata(run_program, sink):
    """Event, block, process and variables are merged field by field."""
    text = """
        sdk.set_metadata(LupisMetadata(user_id="ada", organization_id="acme", extra={"plan": "pro"}))
        with sdk.conversation("trip"):
            sdk.track_event("e", {}, LupisMetadata(user_id="bob", extra={"seat": 1}))
        """
    run_program(GET + dedent(text), env={"LUPIS_SESSION_ID": "s1", "LUPIS_USER_ID": "variable"})
    assert {
        "user_id": "bob",
        "organization_id": "acme",
        "session_id": "s1",
        "chat_id": "trip",
        "plan": "pro",
        "seat": 1,
    } == sink.events[0]["metadata"]


def test_secrets_in_events_are_redacted(run_program, sink):
    """They are in nested values, names and metadata."""
    key = "sk-proj-1234567890abcdef1234567890abcdef12345678"
    text = f"""
        sdk.set_metadata(LupisMetadata(extra={{"access_token": "opaque-value-1"}}))
        sdk.track_event("bought {key}", {{
            "deep": [{{"note": "my key is {key}", "password": "hunter22222"}}], "{key}": 1,
        }})
        """
    run_program(GET + dedent(text))
    sent = b"".join(request.raw for request in sink.requests)
    assert b"bought" in sent
    for secret in (key[8:], "hunter22222", "opaque-value-1"):
        assert secret.encode() not in sent


def test_a_standard_endpoint_receives_events_as_log_records(run_program, sink):
    """The format is OTLP, as for spans."""
    run_program(
        INIT + "sdk.track_event('bought', {'items': 2})",
        endpoint=sink.otlp_url,
        launched=False,
        env={"LUPIS_OTLP_ENDPOINT": ""},
    )
    (log,) = sink.logs
    assert ("bought", 2) == (log["attributes"]["event.name"], log["attributes"]["items"])
    assert "shop" == log["resource"]["lupis.project.id"]
    assert "/v1/logs" == sink.requests[0].path


PER_THREAD = 100_000 // 50 if os.environ.get("LUPIS_TEST_ALL") else 200


@pytest.mark.slow
def test_events_from_fifty_threads_arrive_once_and_in_order(run_program, sink):
    """LUPIS_TEST_ALL=1 sends 100,000 events."""
    text = f"""
        def work(thread):
            for number in range({PER_THREAD}):
                sdk.track_event(f"thread-{{thread}}", {{"number": number}})
        threads = [threading.Thread(target=work, args=(n,)) for n in range(50)]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]
        """
    env = {"LUPIS_SHUTDOWN_TIMEOUT": "120"}
    assert "" == run_program(GET + dedent(text), env=env, timeout=180).stderr
    numbers = {}
    for event in sink.events:
        numbers.setdefault(event["name"], []).append(event["properties"]["number"])
    assert {f"thread-{number}" for number in range(50)} == set(numbers)
    assert [list(range(PER_THREAD))] * 50 == list(numbers.values())


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_can_use_the_instance(run_program, sink):
    """Another thread of the parent holds the instance's lock during the fork."""
    text = """
        import os
        from lupis_instrument.sdk import _state
        call("parent")
        acquired, release = threading.Event(), threading.Event()
        def hold():
            with _state.lock:
                acquired.set(); release.wait(20)
        thread = threading.Thread(target=hold); thread.start(); acquired.wait()
        child = os.fork()
        if not child:
            with LupisSDK.init(LupisConfig(project_id="p")).conversation("child"):
                call("child"); sdk.track_event("child")
            sys.exit(0)
        release.set(); thread.join()
        sdk.track_event("parent")
        print(os.waitpid(child, 0)[1])
        """
    env = {"PYTHONWARNINGS": "ignore", "LUPIS_AUTO_CHAT_ID": "false"}
    done = run_program(GET + dedent(text), env=env)
    assert "0\n" == done.stdout
    assert {"parent": None, "child": "child"} == chat_ids_by_mark(sink)
    assert ["child", "parent"] == sorted(event["name"] for event in sink.events)


@pytest.mark.slow
def test_events_are_sent_in_batches(run, sink, llm):
    """A batch has 50 events, or is sent 5 s after its first event, or when the program ends."""
    text = build_program(
        GET
        + "for n in range(60): sdk.track_event(str(n))\n"
        + "sys.stdin.readline()\n"
        + "for n in range(60, 63): sdk.track_event(str(n))\n"
    )
    running = ManagedProcess(
        run.build_command(text, [sink.traces_url, llm.url]),
        env=run.build_environment({}),
        cwd=run.folder,
        stdin=subprocess.PIPE,
    )
    with running:
        sink.wait_for(60, "events")
        running.stdin.write(b"\n")
    sizes = [request.raw.count(b'"timestamp"') for request in sink.requests]
    assert [50, 10, 3] == sizes
    assert list(map(str, range(63))) == [event["name"] for event in sink.events]


# Spans and conversations


def test_a_span_of_the_program_is_current_and_records_errors(run_program, sink):
    """A call in it is its child; an exception is recorded and raised again."""
    text = """
        try:
            with sdk.create_span("plan trip", {"stops": 3}) as span:
                span.set_attribute("extra", True)
                call("inside")
                raise KeyError("program")
        except KeyError as error:
            print("raised", error)
        with sdk.get_tracer().start_as_current_span("bare"):
            pass
        """
    assert "raised 'program'\n" == run_program(GET + dedent(text)).stdout
    spans = {span["name"]: span for span in sink.spans}
    span = spans["plan trip"]
    assert {"stops": 3, "extra": True}.items() <= span["attributes"].items()
    assert ("ERROR", "INTERNAL", ["exception"]) == (
        span["status"],
        span["kind"],
        [event["name"] for event in span["events"]],
    )
    assert span["span_id"] == spans["chat gpt-4o-mini"]["parent_span_id"]
    assert {"plan trip", "bare", "chat gpt-4o-mini"} == set(spans)


def test_a_block_with_a_name_is_a_span(run_program, sink):
    """It has the chat id of the block."""
    text = """
        asyncio.run(sdk.run(call, LupisBlockOptions(chat_id="a", name="ask")))
        with sdk.conversation("b", name="talk"):
            pass
        """
    run_program(GET + dedent(text))
    chat_ids = {span["name"]: span["attributes"]["lupis.chat.id"] for span in sink.spans}
    assert {"ask": "a", "chat gpt-4o-mini": "a", "talk": "b"} == chat_ids


def test_each_call_has_its_chat_id(run_program, sink):
    """It comes from the process, a block, a run, metadata or a variable."""
    text = """
        call("variable")
        sdk.set_chat_id("set"); call("set")
        with sdk.conversation("block"): call("block")
        sdk.run_sync(lambda: call("sync"), LupisBlockOptions(chat_id="sync"))
        sdk.set_metadata(LupisMetadata(chat_id="metadata")); call("metadata")
        with sdk.conversation("block", capture_http=False): call("unrecorded")
        sdk.clear_metadata(); sdk.clear_chat_id(); call("cleared")
        """
    run_program(GET + dedent(text), env={"LUPIS_CHAT_ID": "variable"})
    chat_ids = chat_ids_by_mark(sink)
    assert "variable" == chat_ids.pop("cleared")
    marks = ("variable", "set", "block", "sync", "metadata")
    assert {mark: mark for mark in marks} == chat_ids


@pytest.mark.slow
def test_simultaneous_runs_have_their_own_chat_ids(run_program, sink):
    """Forty conversations take turns between their calls."""
    text = """
        import httpx
        async def talk(client, name):
            for _ in range(2):
                body = {"model": "gpt-4o-mini", "messages": []}
                await client.post(
                    LLM + "/v1/chat/completions", json=body, headers={"x-mark": name}
                )
        async def main():
            async with httpx.AsyncClient(timeout=30) as client:
                await asyncio.gather(*(
                    sdk.run(lambda name=f"c{n}": talk(client, name), LupisBlockOptions(chat_id=f"c{n}"))
                    for n in range(40)
                ))
        asyncio.run(main())
        """
    done = run_program(GET + dedent(text))
    chat_ids = chat_ids_by_mark(sink)
    assert "" == done.stderr
    assert (80, 40) == (len(sink.spans), len(chat_ids))
    assert {mark: mark for mark in chat_ids} == chat_ids


def test_a_conversation_includes_its_threads(run_program, sink):
    """They are threads, pools and executors that start inside of it."""
    text = """
        from concurrent.futures import ThreadPoolExecutor
        with sdk.conversation("trip"):
            thread = threading.Thread(target=call, args=("thread",))
            thread.start(); thread.join()
            with ThreadPoolExecutor() as pool:
                pool.submit(call, "pool").result()
            async def main():
                await asyncio.get_running_loop().run_in_executor(None, call, "executor")
            asyncio.run(main())
        call("after")
        """
    run_program(GET + dedent(text), env={"LUPIS_AUTO_CHAT_ID": "false"})
    assert {
        "thread": "trip",
        "pool": "trip",
        "executor": "trip",
        "after": None,
    } == chat_ids_by_mark(sink)


# Flush and shutdown


def test_flush_delivers_and_later_items_arrive_too(run_program, sink):
    """It returns whether all were delivered."""
    text = """
        call("one"); sdk.track_event("one")
        print(sdk.flush(10))
        sys.stdin.read()
        call("two")
        """
    run_program(GET + dedent(text))
    assert ["one", "two"] == list(chat_ids_by_mark(sink))
    assert {"one"} == set(events_by_name(sink))


def test_flush_and_shutdown_end_within_their_timeout(run_program, sink):
    """The collector accepts requests and never answers."""
    sink.hang()
    text = """
        from time import monotonic
        call(); sdk.track_event("e")
        began = monotonic(); print(sdk.flush(0.3), 0.2 < monotonic() - began < 20)
        began = monotonic(); sdk.shutdown_sync(); print(0.2 < monotonic() - began < 20)
        """
    done = run_program(GET + dedent(text), env={"LUPIS_SHUTDOWN_TIMEOUT": "0.5"})
    assert "False True\nTrue\n" == done.stdout


@pytest.mark.parametrize("end", ["sdk.shutdown_sync()", "asyncio.run(sdk.shutdown())"])
def test_shutdown_delivers_once_and_can_be_repeated(end, run_program, sink):
    """Later calls and events are delivered too."""
    text = f"""
        call("one"); sdk.track_event("one")
        {end}; {end}
        call("two"); sdk.track_event("two")
        {end}
        call("three"); sdk.track_event("three")
        """
    done = run_program(GET + dedent(text))
    assert "" == done.stderr
    assert ["one", "two", "three"] == list(chat_ids_by_mark(sink))
    assert ["one", "two", "three"] == [event["name"] for event in sink.events]
