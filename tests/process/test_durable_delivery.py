"""LUPIS_DURABLE=true stores each span when it ends, and each call counts once."""

import pytest
from servers.caller import list_marks, query_store

DURABLE = {"LUPIS_DURABLE": "true", "LUPIS_SUMMARY": "true"}


@pytest.mark.parametrize("exporter", ["console", "otlp"])
@pytest.mark.parametrize("data", ["data", "file/is/no/folder"])
def test_a_durable_call_is_counted_once(run_caller, exporter, data, tmp_path, sink):
    """This holds if it cannot be stored at once."""
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / data)
    env = {**DURABLE, "LUPIS_EXPORTER": exporter, "LUPIS_DATA_DIR": folder}
    done = run_caller("for n in range(3): call(str(n))", env=env)
    assert "lupis: 3 LLM calls, " in done.stderr
    # Conversations of one call are not shown: a repeated call would make one of two.
    assert "conversation" not in done.stderr
    assert "fault" not in done.stderr
    assert exporter == "console" or ["0", "1", "2"] == list_marks(sink)


@pytest.mark.slow
def test_durable_calls_of_many_threads_are_separate_conversations(run_caller, run):
    """The totals are exact."""
    text = """
        sys.setswitchinterval(1e-5)
        def work():
            for _ in range(25): call()
        threads = [threading.Thread(target=work) for _ in range(8)]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]
    """
    done = run_caller(text, env={**DURABLE, "LUPIS_EXPORTER": "local"}, timeout=120)
    select = "SELECT count(*), count(DISTINCT chat), sum(input_tokens) FROM item"
    ((calls, conversations, tokens),) = query_store(run, select)
    assert (200, 200) == (calls, conversations)
    assert f"lupis: 200 LLM calls, {tokens:,} tokens in" in done.stderr


@pytest.mark.slow
def test_a_durable_span_survives_an_interrupt(run_caller, sink):
    """The interrupt arrives while the program's thread prepares the span."""
    text = """
        import signal
        from lupis_instrument._runtime import current as _runtime
        call("a")
        runtime = _runtime.get_runtime()
        prepare = runtime._run_pipeline
        def interrupted(record):
            runtime._run_pipeline = prepare
            signal.raise_signal(signal.SIGINT)
        runtime._run_pipeline = interrupted
        try:
            call("b")
        except KeyboardInterrupt:
            print("interrupted")
        call("c")
    """
    done = run_caller(text, env=DURABLE)
    assert ("interrupted\n", ["a", "b", "c"]) == (done.stdout, list_marks(sink))
