"""`lupis report`: the totals of the calls in the store."""

import csv
import io
import json

import pytest

from lupis_instrument._query.groupings import DIMENSIONS

DAY = 86_400


def read_report(lupis, *arguments):
    """Return the report as JSON."""
    done = lupis("report", "--format", "json", *arguments)
    assert 0 == done.exit_code, done.output
    return json.loads(done.stdout)


def test_calls_add_up_by_model(store, lupis):
    """The most expensive model comes first, and spans that are no calls do not count."""
    store.call("small", input_tokens=10, output_tokens=1, cached_tokens=4, cost=0.25, seconds=2)
    store.call(
        "small", input_tokens=20, output_tokens=2, cached_tokens=5, cost=0.5, error="429", seconds=3
    )
    store.call("large", "anthropic", input_tokens=7, output_tokens=3, cost=2.0, seconds=1)
    store.span("no call at all")
    rows = read_report(lupis)["rows"]
    names = ("provider", "model", "calls", "errors", "input_tokens", "output_tokens")
    names += ("cached_tokens", "cost_usd", "seconds")
    assert [
        ("anthropic", "large", 1, 0, 7, 3, 0, 2.0, 1.0),
        ("openai", "small", 2, 1, 30, 3, 9, 0.75, 5.0),
    ] == [tuple(row[name] for name in names) for row in rows]


def test_total_covers_all_groups(store, lupis):
    """Percentiles come from all calls, not from the percentiles of groups."""
    for seconds in (1, 1, 1, 9):
        store.call("a", seconds=seconds, cost=1.0)
    store.call("b", seconds=2, cost=0.5)
    total = read_report(lupis)["total"]
    assert (5, 4.5, 14.0) == (total["calls"], total["cost_usd"], total["seconds"])
    assert (1.0, 9.0) == (total["latency_p50_seconds"], total["latency_p95_seconds"])


def test_unknown_cost_is_not_zero(store, lupis):
    """The cost is absent, and unpriced calls are counted."""
    store.call("known", cost=1.0)
    store.call("unknown")
    store.call("partly", cost=0.5, status="partial")
    result = read_report(lupis)
    costs = {
        row["model"]: (row["cost_usd"], row["unpriced"], row["partly_priced"])
        for row in result["rows"]
    }
    assert {"known": (1.0, 0, 0), "unknown": (None, 1, 0), "partly": (0.5, 0, 1)} == costs
    assert (1.5, 1, 1) == tuple(
        result["total"][name] for name in ("cost_usd", "unpriced", "partly_priced")
    )


def test_calls_with_unknown_tokens_are_counted_apart(store, lupis):
    """A call without a price may still have tokens."""
    store.call("known", status="unpriced")
    store.call("unknown", input_tokens=None, output_tokens=None, status="unpriced")
    unknown = {row["model"]: row["unknown_tokens"] for row in read_report(lupis)["rows"]}
    assert {"known": 0, "unknown": 1} == unknown


def test_table_shows_a_dash_without_prices(store, lupis):
    """The table never shows $0.00 for an unknown cost."""
    store.call("unknown")
    output = lupis("report").stdout
    assert "$" not in output
    assert "unpriced" in output


def test_free_calls_cost_zero(store, lupis):
    """The cost of a free call is known, unlike the cost of an unpriced one."""
    store.call("local", cost=0.0, status="free")
    assert 0.0 == read_report(lupis)["rows"][0]["cost_usd"]
    assert "$0.00" in lupis("report").stdout


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("provider", [{"provider": "openai"}, {"provider": "anthropic"}]),
        ("chat", [{"chat": "one"}, {"chat": None}]),
        ("project", [{"project": "shop"}, {"project": "lab"}]),
    ],
)
def test_calls_without_a_value_form_a_group(by, keys, store, other_store, lupis):
    """The option `--by` selects the grouping."""
    store.call(chat="one", cost=2.0)
    other_store.call("sonnet", "anthropic", cost=1.0)
    rows = read_report(lupis, "--by", by)["rows"]
    assert keys == [{name: row[name] for name in keys[0]} for row in rows]


def test_days_are_local(store, start_lupis):
    """At UTC+5:45, a day begins at 18:15 UTC."""
    midnight = store.now // (DAY * 10**9) * DAY * 10**9 - (5 * 60 + 45) * 60 * 10**9
    for offset in (-60, 60):
        store.call(ago=(store.now - midnight) / 1e9 - offset)
    done = start_lupis("report", "--by", "day", "--format", "json", env={"TZ": "NPT-5:45"})
    rows = json.loads(done.communicate()[0])["rows"]
    assert [1, 1] == [row["calls"] for row in rows]
    assert rows[0]["day"] < rows[1]["day"]


def test_since_leaves_older_calls_out(store, lupis):
    """Calls that began before are not counted."""
    store.call("old", ago=2 * 3600)
    store.call("new", ago=60)
    assert ["new"] == [row["model"] for row in read_report(lupis, "--since", "1h")["rows"]]


@pytest.mark.parametrize(
    ("options", "models"),
    [
        (["--chat", "two"], ["b", "c"]),
        (["--run", "a" * 32], ["a", "b"]),
        (["--run", "bb"], ["c"]),
        (["--run", "aaaa", "--chat", "two"], ["b"]),
        (["--user", "u"], ["b"]),
        (["--project", "lab"], ["c"]),
        (["--filter", "-chat:two"], ["a"]),
        (["--last"], ["c"]),
    ],
)
def test_chat_and_run_select_calls(options, models, store, other_store, lupis):
    """The first digits of a launch id are enough."""
    store.call("a", chat="one")
    store.call("b", chat="two", **{"user.id": "u"})
    other_store.call("c", chat="two")
    assert models == sorted(row["model"] for row in read_report(lupis, *options)["rows"])


def test_report_has_the_time_to_the_first_chunk(store, lupis):
    """Calls without this time do not count."""
    store.call(first_chunk=0.25)
    store.call(first_chunk=0.75)
    store.call()
    row = read_report(lupis)["rows"][0]
    assert (0.25, 0.75) == (row["first_chunk_p50_seconds"], row["first_chunk_p99_seconds"])


def test_time_to_an_unknown_first_chunk_is_absent(store, lupis):
    """It is not 0 seconds."""
    store.call()
    assert None is read_report(lupis)["rows"][0]["first_chunk_p50_seconds"]


def test_times_of_many_calls_are_exact_to_the_millisecond(store, lupis):
    """Coarser times count faster; few calls are exact to the microsecond."""
    store.call(seconds=0.0123456)
    assert 0.012345 == read_report(lupis)["rows"][0]["latency_p50_seconds"]
    store.sql("UPDATE sequence SET last = 200000")
    store.call(seconds=0.0123456)
    assert 0.012 == read_report(lupis)["rows"][0]["latency_p50_seconds"]


def test_odd_values_do_not_break_the_report(store, lupis):
    """A program may set any attribute to any value."""
    huge = (1 << 63) - 1
    for tokens in ("many", huge, huge, huge, 1.5, float("inf")):
        store.call(
            input_tokens=tokens,
            output_tokens=huge,
            cost=float("inf"),
            first_chunk=float("nan"),
            cached_tokens=-1,
        )
    store.call(cost="a lot", first_chunk="soon", seconds=0)
    store.call(cost=1.0, first_chunk=float("inf"), ago=-(10**9))
    for by in DIMENSIONS:
        done = lupis("report", "--by", by)
        assert 0 == done.exit_code, done.exception
        assert 8 == read_report(lupis, "--by", by)["total"]["calls"]


def test_csv_has_plain_numbers_and_no_total(store, lupis):
    """A spreadsheet would add a line of totals up again."""
    store.call('odd, "name"', cost=0.5, input_tokens=12_345)
    store.call("unknown")
    rows = list(csv.DictReader(io.StringIO(lupis("report", "--format", "csv").stdout)))
    assert ['odd, "name"', "unknown"] == [row["model"] for row in rows]
    assert ("12345", "0.5") == (rows[0]["input_tokens"], rows[0]["cost_usd"])
    assert "" == rows[1]["cost_usd"]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\t=1+1", r"\t=1+1"),
        ("\r=1+1", r"\r=1+1"),
        ("\n=1+1", r"\n=1+1"),
        ("a=b", "a=b"),
        ("\x1b[2J\x9b\u202e", r"\x1b[2J\x9b\u202e"),
    ],
)
def test_texts_in_csv_are_no_formulas(text, cell, store, lupis):
    """A quote keeps a spreadsheet from calculating them; control characters are escaped."""
    store.call(text, chat=text)
    for by in ("model", "chat"):
        written = lupis("report", "--by", by, "--format", "csv").stdout
        rows = list(csv.DictReader(io.StringIO(written)))
        assert [cell] == [row[by] for row in rows]


def test_negative_figures_in_csv_stay_numbers(store, lupis):
    """A program may have set any number as tokens."""
    store.call(input_tokens=-5)
    rows = csv.DictReader(io.StringIO(lupis("report", "--format", "csv").stdout))
    assert ["-5"] == [row["input_tokens"] for row in rows]


def test_table_ends_with_the_total(store, lupis):
    """The numbers are rounded for people."""
    store.call(input_tokens=1_234_567, cost=0.5)
    store.call(input_tokens=1_000_000, cost=0.25)
    lines = lupis("report").stdout.splitlines()
    assert lines[0].split()[:3] == ["provider", "model", "calls"]
    assert ["total", "2", "2.23M"] == lines[-1].split()[:3]
    assert "$0.7500" in lines[-1]


def test_table_has_no_empty_columns(store, lupis):
    """Errors and the like have a column only if there are any."""
    store.call(cost=0.5)
    assert not {"errors", "unpriced", "cached"} & set(lupis("report").stdout.split())
    store.call(error="429", cost=0.5)
    assert "errors" in lupis("report").stdout.split()


def test_names_cannot_steer_the_terminal(store, lupis):
    """Control characters, and characters that turn the direction of text, are escaped."""
    store.call("evil\x1b[2J\u202e", chat="\r\nfake")
    output = lupis("report").stdout + lupis("report", "--by", "chat").stdout
    assert r"evil\x1b[2J\u202e" in output
    assert r"\r\nfake" in output


DAMAGES = {
    "time": "at = 'noon'",
    "duration": "duration = 0.5",
    "text duration": "duration = 'long'",
    "provider": "provider = x'00'",
    "model": "model = x'00'",
    "origin": "origin = 'shop'",
    "tokens": "output_tokens = x'00'",
    "cost": "cost = x'00'",
}


@pytest.mark.parametrize("by", ["model", "project", "chat", "day"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_rows_are_left_out(damage, by, store, lupis):
    """A line on stderr says how many, and the exit status is as usual."""
    for _ in range(4):
        store.call("gpt-4o")
    store.sql(f"UPDATE item SET {DAMAGES[damage]} WHERE id % 2")
    done = lupis("report", "--format", "json", "--by", by)
    assert (0, 2) == (done.exit_code, json.loads(done.stdout)["total"]["calls"])
    assert "lupis: 2 damaged rows of the store left out\n" == done.stderr


@pytest.mark.parametrize("by", ["chat", "user", "host", "status"])
def test_rows_whose_group_is_damaged_are_left_out(by, store, lupis):
    """Groups by another property count them."""
    store.call("gpt-4o")
    store.sql(f"UPDATE item SET {by} = x'00'")
    done = lupis("report", "--format", "json", "--by", by)
    assert (0, 0) == (done.exit_code, json.loads(done.stdout)["total"]["calls"])
    assert 1 == read_report(lupis)["total"]["calls"]


def test_a_damaged_project_is_unknown(store, lupis):
    """Its calls are counted."""
    store.call("gpt-4o")
    store.sql("UPDATE origin SET project = x'00'")
    assert [None] == [row["project"] for row in read_report(lupis, "--by", "project")["rows"]]


def test_groups_by_several_properties(store, lupis):
    """A row has a column for each property."""
    store.call("m", chat="a", **{"user.id": "u"})
    store.call("m", chat="b", **{"user.id": "u"})
    report = read_report(lupis, "--by", "user", "--by", "chat")
    assert ["user", "chat"] == report["by"]
    assert {("u", "a"), ("u", "b")} == {(row["user"], row["chat"]) for row in report["rows"]}


def test_groups_are_sorted_and_limited(store, lupis):
    """The total is of all groups."""
    for model, calls in (("a", 1), ("b", 3), ("c", 2)):
        for _ in range(calls):
            store.call(model)
    report = read_report(lupis, "--sort", "calls", "--limit", "2")
    assert ["b", "c"] == [row["model"] for row in report["rows"]]
    assert 6 == report["total"]["calls"]


def test_cached_share_and_cost_per_call(store, lupis):
    """Unpriced calls do not count for the mean cost."""
    store.call(input_tokens=100, cached_tokens=25, cost=0.5)
    store.call(input_tokens=0, output_tokens=0)
    total = read_report(lupis)["total"]
    assert (0.25, 0.5) == (total["cached_share"], total["cost_per_call_usd"])


def test_an_unknown_property_is_refused(lupis):
    """The message lists the properties."""
    done = lupis("report", "--by", "colour")
    assert (2, True) == (done.exit_code, "expected model, provider" in done.stderr)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--run", "c"], "no run c; `lupis runs` lists them"),
        (["--run", "a", "--last"], "--run and --last exclude each other"),
        (["--filter", "colour:red"], "'colour:red': no such field"),
    ],
)
def test_a_wrong_selection_is_refused(options, problem, store, lupis):
    """Nothing is reported then."""
    store.call()
    done = lupis("report", *options)
    assert (True, "") == (problem in done.stderr, done.stdout)


def test_a_table_has_at_most_200_groups(store, lupis):
    """Nobody reads more; a note says how to get them, and JSON has all."""
    for chat in range(201):
        store.call(chat=str(chat))
    assert (
        "1 more rows: --limit N or --format csv"
        == lupis("report", "--by", "chat").stdout.splitlines()[-1]
    )
    assert 201 == len(read_report(lupis, "--by", "chat")["rows"])
