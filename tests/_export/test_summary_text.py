"""The text at the end of a launch shows its totals, and fits the terminal."""

import re

import pytest

from lupis_instrument._diagnostics import diagnostics
from lupis_instrument._export.accounting import Account
from lupis_instrument._export.summary import MAX_CHATS, Summary
from lupis_instrument._export.summary_text import Destinations, SummaryText
from lupis_instrument._export.terminal import Terminal, text_width

ENDPOINT = "http://127.0.0.1:4318/v1/traces"
STORE = "/data/store.db"
RUN_ID = "3f2a91b0c4d5e6f7"
LONG_NAME = (
    "ft:gpt-4o-mini-2024-07-18:my-very-long-organization-name:support-v12:AbCdEfGh1234567890"
)


def make_text(*spans, delivered=None, stored=0, lost=0, events=0, run_id="", terminal=None):
    """Returns the text of the summary for some spans."""
    summary, account = Summary(), Account()
    for span in spans:
        summary.add_span(span)
    summary.events = events
    account.add_created(len(spans) + events)
    account.add_delivered(len(spans) + events if delivered is None else delivered)
    account.add_stored(stored)
    account.add_dropped(lost, "queue full")
    destinations = Destinations(account, ENDPOINT, STORE, run_id)
    return SummaryText(summary, destinations, terminal or Terminal(200), diagnostics.clean_line)


def lines_of(*spans, **options):
    """Returns the lines of the summary for some spans."""
    return make_text(*spans, **options).format_lines()


@pytest.fixture
def many_calls(llm_call, finished):
    """The spans of a program with an error, retries, long names and a gateway."""
    failed = {**llm_call(error="429").attributes, "lupis.error.code": "rate_limit_exceeded"}
    retry = {**failed, "http.request.resend_count": 1}
    priced = {**llm_call(LONG_NAME, 123_456_789, 9_876_543, cached=1000).attributes}
    return [
        llm_call("text-embedding-3-small", 500, 100, chat="b", seconds=100),
        finished("chat", failed),
        finished("chat", retry),
        finished(f"chat {LONG_NAME}", {**priced, "lupis.cost.total": 1234.5}, seconds=4000),
    ]


def test_the_totals_and_the_models_are_shown(llm_call):
    """The first line is the total; the table has a line for each provider and model."""
    lines = lines_of(
        llm_call("gpt-4o", 1000, 200, cached=600, chat="a", seconds=0.5),
        llm_call("gpt-4o", 500, 100, chat="b", seconds=1),
        llm_call("gpt-4.1", 1, 2, chat="b", error="429", seconds=1),
        run_id=RUN_ID,
    )
    assert [
        "lupis: 3 LLM calls, 1 error, 1,501 tokens in (40 % cached), 302 out, 2.50 s, 2 conversations",
        "  errors: 1 x 429",
        "  model           calls  errors     in  cached  out    time",
        "  openai gpt-4.1      1       1      1     0 %    2  1.00 s",
        "  openai gpt-4o       2       0  1,500    40 %  300  1.50 s",
        f"  3 spans -> {ENDPOINT}",
        "  run 3f2a91b0",
    ] == [line for line in lines if "slowest" not in line]
    assert re.fullmatch("  slowest: chat gpt-4o, 1.00 s, trace [0-9a-f]{8}", lines[2])


def test_a_log_gets_one_line(llm_call):
    """It has the kinds of errors and the next command too."""
    text = make_text(
        llm_call(), llm_call(error="429"), delivered=0, stored=2, run_id=RUN_ID
    ).format_line()
    assert (
        "lupis: 2 LLM calls, 1 error (1 x 429), 20 tokens in, 10 out, 2.00 s;"
        " run 3f2a91b0, see: lupis show --last" == text
    )


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("symbols", [("…", "\u00d7"), ("...", "x")])
def test_all_lines_fit_the_terminal(width, symbols, many_calls):
    """Long names lose their middle, and the least important columns go."""
    terminal = Terminal(width, False, *symbols)
    lines = lines_of(*many_calls, terminal=terminal, run_id=RUN_ID)
    assert width >= max(map(text_width, lines))
    table = "\n".join(lines)
    assert all(text in table for text in ("calls", "errors", "cost", "$1,234.50", "openai f"))


def test_no_column_is_lost_on_a_wide_terminal(many_calls):
    """Every figure has its column there."""
    heading = next(line for line in lines_of(*many_calls) if "model" in line)
    assert ["model", "calls", "errors", "in", "cached", "out", "cost", "time"] == heading.split()


def test_colors_leave_the_text_as_it_is(many_calls):
    """Only escape sequences of colours are added."""
    options = {"run_id": RUN_ID}
    plain = lines_of(*many_calls, terminal=Terminal(80), **options)
    colored = lines_of(*many_calls, terminal=Terminal(80, colored=True), **options)
    assert plain == [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in colored]
    assert plain != colored


def test_errors_are_red_and_zeros_dim(llm_call):
    """A glance finds the errors."""
    lines = lines_of(llm_call("a", error="429"), llm_call("b"), terminal=Terminal(colored=True))
    assert "\x1b[31m1 error,\x1b[0m" in lines[0]
    assert next(line for line in lines if "openai b" in line).count("\x1b[2m       0\x1b[0m")


def test_retries_are_named(llm_call, finished):
    """A client has sent the request again."""
    retry = finished("chat", {**llm_call().attributes, "http.request.resend_count": 1})
    assert "lupis: 2 LLM calls, 1 of them a retry, " in lines_of(llm_call(), retry)[0]
    assert "lupis: 3 LLM calls, 2 of them retries, " in lines_of(llm_call(), retry, retry)[0]


def test_errors_are_grouped(llm_call):
    """The most frequent kind comes first; rare kinds are added up."""
    errors = ["429", "429", *(str(number) for number in range(500, 506))]
    lines = lines_of(*(llm_call(error=error) for error in errors))
    assert "  errors: 2 x 429, 1 x 500, 1 x 501, 1 x 502, 1 x 503, 2 x other" == lines[1]


def test_conversations_of_one_call_are_not_counted(llm_call):
    """Their number would be the number of calls."""
    assert "conversation" not in lines_of(llm_call(chat="a"), llm_call(chat="b"))[0]
    assert lines_of(llm_call(chat="a"), llm_call(chat="a"))[0].endswith(", 1 conversation")


def test_very_many_conversations_are_a_lower_bound(llm_call):
    """The number of chat ids in memory is limited, and the summary does not give it as exact."""
    calls = [llm_call("m", 1, 1, chat=str(number)) for number in range(MAX_CHATS + 1)]
    assert lines_of(*calls, calls[0])[0].endswith(", at least 10,000 conversations")


def test_unknown_tokens_are_counted_apart(llm_call, finished):
    """They are not 0 tokens; the tokens of the other calls add up."""
    unknown = finished(
        "chat m",
        {
            "gen_ai.provider.name": "openai",
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "m",
            "lupis.cost.status": "unpriced",
        },
    )
    lines = lines_of(unknown, llm_call("gpt-4o", 1000, 200))
    assert "1,000 tokens in, 200 out, tokens of 1 call unknown, cost of 1 unknown" in lines[0]
    cells = next(line for line in lines if "openai m" in line).split()
    assert ["openai", "m", "1", "?", "?", "?", "1.00", "s"] == cells


def test_one_call_is_not_the_slowest(llm_call):
    """There is no other call to compare it with."""
    assert not any("slowest" in line for line in lines_of(llm_call()))


def test_nothing_recorded_names_the_next_step():
    """`--summary` always answers."""
    first = "lupis: no LLM calls and no HTTP calls: `lupis doctor` looks for the reason"
    assert [first, "  run 3f2a91b0"] == lines_of(run_id=RUN_ID)


def test_a_host_without_llm_calls_may_be_a_gateway(finished):
    """The setting that names it is shown."""
    call = finished("GET", {"http.request.method": "GET", "server.address": "api.example.com"})
    assert (
        "lupis: no LLM calls; 1 HTTP call to api.example.com: is that a gateway?"
        " --provider-hosts api.example.com=openai" == lines_of(call)[0]
    )


def test_the_gateway_of_many_hosts_is_the_one_that_gets_posts(finished):
    """LLM APIs are called by POST."""
    calls = [
        finished("x", {"http.request.method": method, "server.address": f"{name}.example"})
        for name, method in (("a", "GET"), ("b", "GET"), ("c", "POST"), ("d", "GET"))
    ]
    assert (
        "lupis: no LLM calls; 4 HTTP calls to c.example, a.example, b.example and 1 other host:"
        " is one of them a gateway? --provider-hosts c.example=openai" == lines_of(*calls)[0]
    )


def test_stored_and_dropped_items_are_named(finished):
    """The numbers add up to the number of spans."""
    spans = [finished() for _ in range(6)]
    lines = lines_of(*spans, delivered=1, stored=2, lost=3)
    assert f"  6 spans: 1 -> {ENDPOINT}, 2 -> {STORE}, 3 dropped: queue full" == lines[-1]


def test_one_place_for_all_items_needs_no_numbers(finished):
    """Here it is the store."""
    assert f"  1 span -> {STORE}" == lines_of(finished(), delivered=0, stored=1)[-1]


def test_events_are_counted_beside_the_spans(finished):
    """They are no calls."""
    assert f"  1 span, 2 events -> {ENDPOINT}" == lines_of(finished(), events=2)[-1]


def test_the_next_command_needs_stored_spans(finished):
    """`lupis show` reads the store."""
    lines = lines_of(finished(), delivered=0, stored=1, run_id=RUN_ID)
    assert "  run 3f2a91b0, see: lupis show --last" == lines[-1]
    assert "  run 3f2a91b0" == lines_of(finished(), run_id=RUN_ID)[-1]


def test_names_with_control_characters_keep_the_columns(llm_call):
    """The width of a column counts the escapes that stand for the characters."""
    lines = lines_of(llm_call("a\nb"), llm_call("abcd"))[-3:-1]
    assert [r"  openai a\nb  ", "  openai abcd  "] == [line[:15] for line in lines]


def test_a_secret_in_a_name_is_redacted(llm_call, monkeypatch):
    """The filter sees each text before its middle is cut out."""
    monkeypatch.setattr(diagnostics, "redact", lambda text: text.replace("secret", "***"))
    lines = lines_of(llm_call(f"{LONG_NAME}secret"), llm_call(), terminal=Terminal(60))
    assert any("***" in line for line in lines)
    assert not any("secret" in line for line in lines)
