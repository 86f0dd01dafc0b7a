"""`LupisSDK` in whole programs, below lupis-run and without it."""

import os
import subprocess
from textwrap import dedent
from time import monotonic

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
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read()
"""
INIT = "sdk = LupisSDK.init(LupisConfig(project_id='shop', otlp_endpoint=ENDPOINT))\n"
GET = "sdk = LupisSDK.get_instance()\n"


def program(text):
    """A program that has what the tests' programs have in common."""
    return PRELUDE + dedent(text)


@pytest.fixture
def play(run, sink, llm):
    """Runs a program to its end; `fails` is what its status may be."""

    def play(text, *, endpoint=None, status=0, **options):
        done = run(program(text), endpoint or sink.traces_url, llm.url, **options)
        assert status == done.returncode, done.stderr
        return done

    return play


def events_by_name(sink):
    """What arrived."""
    return {event["name"]: event for event in sink.events}


def marked(sink):
    """The chat id of each call, by the mark in its header."""
    return {
        span["attributes"]["http.request.header.x-mark"][0]: span["attributes"].get("lupis.chat.id")
        for span in sink.spans
    }


# the instance


def test_the_documented_two_lines_work_below_lupis_run(play, sink):
    """Without any configuration in the program."""
    done = play("LupisSDK.get_instance().track_event('feature_used', {'feature': 'export'})")
    (event,) = sink.events
    assert ("feature_used", {"feature": "export"}) == (event["name"], event["properties"])
    assert ("", "") == (done.stdout, done.stderr)


def test_neither_launched_nor_initialised_there_is_no_instance(play):
    """A program tells by it that it isn't instrumented."""
    assert "None\n" == play("print(LupisSDK.get_instance())", launched=False).stdout


def test_init_works_without_lupis_run(play, sink):
    """Calls and events arrive as the config says, and it is the instance from then on."""
    done = play(
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
    wanted = {"service.name": "till", "service.version": "2", "lupis.project.id": "shop"}
    assert wanted.items() <= span["resource"].items()
    assert ["started"] == [event["name"] for event in sink.events]
    for request in sink.requests:
        assert ("shop", "k1") == (request.headers["x-project-id"], request.headers["x-api-key"])
    assert ("", "") == (done.stdout, done.stderr)


def test_init_many_times_at_once_makes_one_instance(play, sink):
    """And instruments once: one span a call."""
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
    done = play(text, launched=False)
    assert ("9 1\n", "") == (done.stdout, done.stderr)
    assert ["shop"] == [span["resource"]["lupis.project.id"] for span in sink.spans]


def test_below_lupis_run_a_config_fills_what_is_left_open(play, sink):
    """Variables stay in force; what is ignored is named once."""
    text = """
        assert LupisSDK.get_instance() is not None
        call("before")
        config = LupisConfig(project_id="theirs", service_name="till", api_key="k2")
        for _ in range(2):
            assert LupisSDK.init(config) is LupisSDK.get_instance()
        call("after")
        """
    done = play(text, env={"LUPIS_PROJECT_ID": "operator's", "LUPIS_EXPORTER": "otlp"})
    (line,) = done.stderr.splitlines()
    assert "LupisConfig(project_id='theirs') is ignored" in line
    last = next(s for s in sink.spans if s["attributes"]["http.request.header.x-mark"] == ["after"])
    assert ("operator's", "till") == (
        last["resource"]["lupis.project.id"],
        last["resource"]["service.name"],
    )
    assert "k2" == sink.requests[-1].headers["x-api-key"]


# switched off

UNTOUCHED = """
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
def test_switched_off_nothing_is_patched_and_nothing_sent(config, env, play, sink):
    """By the config or by a variable; all of the API still works."""
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
    done = play(dedent(text) + UNTOUCHED, launched=False, env=env)
    assert ("False True\nhttp.client True\n", "") == (done.stdout, done.stderr)
    assert [] == sink.requests


@pytest.mark.parametrize("env", [{"LUPIS_ENABLED": "false"}, {"OTEL_SDK_DISABLED": "true"}])
def test_an_operator_can_switch_off_without_breaking_the_program(env, play, sink):
    """There is an instance below lupis-run all the same, and it wins over the config."""
    text = """
        sdk = LupisSDK.get_instance()
        sdk.track_event("unsent")
        LupisSDK.init(LupisConfig(project_id="p", enabled=True)).track_event("unsent")
        call()
        print(sdk.is_enabled())
        """
    done = play(dedent(text) + UNTOUCHED, env=env)
    assert "False\nhttp.client False\n" == done.stdout
    assert [] == sink.requests


def test_a_late_config_may_still_switch_off(play, sink):
    """Where no variable says otherwise: what comes later isn't sent."""
    text = """
        call("before")
        LupisSDK.get_instance().flush(5)
        sdk = LupisSDK.init(LupisConfig(project_id="p", enabled=False))
        sdk.track_event("unsent")
        call("after")
        print(sdk.is_enabled())
        """
    assert "False\n" == play(text).stdout
    assert {"before"} == set(marked(sink))


# events


def test_events_come_from_anywhere(play, sink):
    """Threads, a running loop, before and after the shutdown."""
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
    done = play(GET + dedent(text))
    names = {*(f"thread-{number}" for number in range(20)), "loop", "after shutdown", "later"}
    assert names == set(events_by_name(sink))
    assert len(names) == len(sink.events)
    assert "" == done.stderr


def test_an_event_with_odd_properties_still_goes_out(play, sink):
    """With markers in their places; see tests/_tracing/test_events.py for each kind."""
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
        sdk.track_event("wrong metadata", {}, {"user_id": "x"})
        sdk.track_event("last")
        """
    done = play(GET + dedent(text))
    found = events_by_name(sink)
    assert {"odd", "list", "[Hostile]", "None", "last"} == set(found)
    odd = found["odd"]["properties"]
    assert ("[nan]", ["[cyclic]"], "[bytes]", "[Hostile]") == tuple(
        odd[name] for name in ("nan", "cycle", "bytes", "hostile")
    )
    assert 1 == len(done.stderr.splitlines())
    assert "tracking an event failed (LupisUsageError" in done.stderr


def test_event_metadata_is_merged_over_what_is_in_force(play, sink):
    """Event, block, process, variables: field by field."""
    text = """
        sdk.set_metadata(LupisMetadata(user_id="ada", organization_id="acme", extra={"plan": "pro"}))
        with sdk.conversation("trip"):
            sdk.track_event("e", {}, LupisMetadata(user_id="bob", extra={"seat": 1}))
        """
    play(GET + dedent(text), env={"LUPIS_SESSION_ID": "s1", "LUPIS_USER_ID": "variable"})
    assert {
        "user_id": "bob",
        "organization_id": "acme",
        "session_id": "s1",
        "chat_id": "trip",
        "plan": "pro",
        "seat": 1,
    } == sink.events[0]["metadata"]


def test_secrets_in_events_do_not_leave(play, sink):
    """Nested values, names, metadata."""
    key = "sk-proj-1234567890abcdef1234567890abcdef12345678"
    text = f"""
        sdk.set_metadata(LupisMetadata(extra={{"access_token": "opaque-value-1"}}))
        sdk.track_event("bought {key}", {{
            "deep": [{{"note": "my key is {key}", "password": "hunter22222"}}], "{key}": 1,
        }})
        """
    play(GET + dedent(text))
    sent = b"".join(request.raw for request in sink.requests)
    assert b"bought" in sent
    for secret in (key[8:], "hunter22222", "opaque-value-1"):
        assert secret.encode() not in sent


def test_a_standard_endpoint_gets_events_as_log_records(play, sink):
    """OTLP, beside the spans."""
    play(
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


def test_events_from_fifty_threads_arrive_once_and_in_order(play, sink):
    """None lost, none doubled; LUPIS_TEST_ALL=1 makes it 100,000."""
    text = f"""
        def work(thread):
            for number in range({PER_THREAD}):
                sdk.track_event(f"thread-{{thread}}", {{"number": number}})
        threads = [threading.Thread(target=work, args=(n,)) for n in range(50)]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]
        """
    env = {"LUPIS_SHUTDOWN_TIMEOUT": "120"}
    assert "" == play(GET + dedent(text), env=env, timeout=180).stderr
    numbers = {}
    for event in sink.events:
        numbers.setdefault(event["name"], []).append(event["properties"]["number"])
    assert {f"thread-{number}" for number in range(50)} == set(numbers)
    assert [list(range(PER_THREAD))] * 50 == list(numbers.values())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_uses_it_like_its_parent(play, sink):
    """Though another thread held its lock when the process was doubled."""
    text = """
        import os
        from lupis_instrument.sdk import _state
        call("parent")
        entered, go_on = threading.Event(), threading.Event()
        def hold():
            with _state.lock:
                entered.set(); go_on.wait(20)
        thread = threading.Thread(target=hold); thread.start(); entered.wait()
        child = os.fork()
        if not child:
            with LupisSDK.init(LupisConfig(project_id="p")).conversation("child"):
                call("child"); sdk.track_event("child")
            sys.exit(0)
        go_on.set(); thread.join()
        sdk.track_event("parent")
        print(os.waitpid(child, 0)[1])
        """
    env = {"PYTHONWARNINGS": "ignore", "LUPIS_AUTO_CHAT_ID": "false"}
    done = play(GET + dedent(text), env=env)
    assert "0\n" == done.stdout
    assert {"parent": None, "child": "child"} == marked(sink)
    assert ["child", "parent"] == sorted(event["name"] for event in sink.events)


def test_events_leave_in_batches(run, sink, llm):
    """50 at once, what is left 5 s after its first, and the rest when the program ends."""
    text = program(
        GET
        + "for n in range(60): sdk.track_event(str(n))\n"
        + "sys.stdin.readline()\n"
        + "for n in range(60, 63): sdk.track_event(str(n))\n"
    )
    began = monotonic()
    running = ManagedProcess(
        run.build_command(text, [sink.traces_url, llm.url]),
        env=run.build_environment({}),
        cwd=run.folder,
        stdin=subprocess.PIPE,
    )
    with running:
        sink.wait_for(50, "events")
        first = monotonic() - began
        sink.wait_for(60, "events")
        second = sink.requests[1].at - sink.requests[0].at
        running.stdin.write(b"\n")
    sizes = [request.raw.count(b'"timestamp"') for request in sink.requests]
    assert [50, 10, 3] == sizes
    assert list(map(str, range(63))) == [event["name"] for event in sink.events]
    assert first < 4.5
    assert 4 < second < 7


# spans and conversations


def test_own_spans_are_current_and_carry_errors(play, sink):
    """A call made inside is below them; an exception is recorded and raised on."""
    text = """
        try:
            with sdk.create_span("plan trip", {"stops": 3}) as span:
                span.set_attribute("extra", True)
                call("inside")
                raise KeyError("theirs")
        except KeyError as error:
            print("raised", error)
        with sdk.get_tracer().start_as_current_span("bare"):
            pass
        """
    assert "raised 'theirs'\n" == play(GET + dedent(text)).stdout
    spans = {span["name"]: span for span in sink.spans}
    own = spans["plan trip"]
    assert {"stops": 3, "extra": True}.items() <= own["attributes"].items()
    assert ("ERROR", "INTERNAL", ["exception"]) == (
        own["status"],
        own["kind"],
        [event["name"] for event in own["events"]],
    )
    assert own["span_id"] == spans["chat gpt-4o-mini"]["parent_span_id"]
    assert {"plan trip", "bare", "chat gpt-4o-mini"} == set(spans)


def test_a_named_block_is_a_span(play, sink):
    """With the chat id that is in force in it."""
    text = """
        asyncio.run(sdk.run(call, LupisBlockOptions(chat_id="a", name="ask")))
        with sdk.conversation("b", name="talk"):
            pass
        """
    play(GET + dedent(text))
    found = {span["name"]: span["attributes"]["lupis.chat.id"] for span in sink.spans}
    assert {"ask": "a", "chat gpt-4o-mini": "a", "talk": "b"} == found


def test_every_call_belongs_to_its_conversation(play, sink):
    """Set for the process, for a block, for a run, for none, by variable."""
    text = """
        call("variable")
        sdk.set_chat_id("set"); call("set")
        with sdk.conversation("block"): call("block")
        sdk.run_sync(lambda: call("sync"), LupisBlockOptions(chat_id="sync"))
        sdk.set_metadata(LupisMetadata(chat_id="metadata")); call("metadata")
        with sdk.conversation("block", capture_http=False): call("unrecorded")
        sdk.clear_metadata(); sdk.clear_chat_id(); call("cleared")
        """
    play(GET + dedent(text), env={"LUPIS_CHAT_ID": "variable"})
    found = marked(sink)
    assert "variable" == found.pop("cleared")
    assert {"variable", "set", "block", "sync", "metadata"} == set(found)
    assert {name: name for name in found} == found


def test_runs_at_once_keep_their_calls_apart(play, sink):
    """Forty conversations, each with calls before and after a switch."""
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
    done = play(GET + dedent(text))
    found = marked(sink)
    assert "" == done.stderr
    assert (80, 40) == (len(sink.spans), len(found))
    assert {name: name for name in found} == found


def test_a_conversation_follows_its_work_into_threads(play, sink):
    """Threads, pools and `asyncio.to_thread`, started inside it."""
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
    play(GET + dedent(text), env={"LUPIS_AUTO_CHAT_ID": "false"})
    assert {"thread": "trip", "pool": "trip", "executor": "trip", "after": None} == marked(sink)


# flush and shutdown


def test_flush_delivers_without_ending(play, sink):
    """And says so; what comes later arrives too."""
    text = """
        call("one"); sdk.track_event("one")
        print(sdk.flush(10))
        sys.stdin.read()
        call("two")
        """
    play(GET + dedent(text))
    assert ["one", "two"] == list(marked(sink))
    assert {"one"} == set(events_by_name(sink))


def test_flush_and_shutdown_are_bounded(play, sink):
    """Against a collector that accepts and never answers."""
    sink.hang()
    text = """
        from time import monotonic
        call(); sdk.track_event("e")
        began = monotonic(); print(sdk.flush(0.3), 0.2 < monotonic() - began < 2)
        began = monotonic(); sdk.shutdown_sync(); print(0.2 < monotonic() - began < 2)
        """
    done = play(GET + dedent(text), env={"LUPIS_SHUTDOWN_TIMEOUT": "0.5"})
    assert "False True\nTrue\n" == done.stdout


@pytest.mark.parametrize("end", ["sdk.shutdown_sync()", "asyncio.run(sdk.shutdown())"])
def test_shutdown_delivers_once_and_may_be_repeated(end, play, sink):
    """And what comes after it isn't lost either."""
    text = f"""
        call("one"); sdk.track_event("one")
        {end}; {end}
        call("two"); sdk.track_event("two")
        {end}
        call("three"); sdk.track_event("three")
        """
    done = play(GET + dedent(text))
    assert "" == done.stderr
    assert ["one", "two", "three"] == list(marked(sink))
    assert ["one", "two", "three"] == [event["name"] for event in sink.events]
