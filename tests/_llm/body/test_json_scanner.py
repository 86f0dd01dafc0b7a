"""The scanner keeps the requested members, as a full parse would find them."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lupis_instrument._llm.body import json_scanner
from lupis_instrument._llm.body.json_scanner import JsonScanner

NAMES = frozenset(("model", "choices", "reason", "usage", "index"))
WHOLE_NAMES = frozenset(("usage",))


def scan(text, cut=1 << 30):
    values = []
    scanner = JsonScanner(NAMES, WHOLE_NAMES, values.append)
    for start in range(0, len(text), cut):
        scanner.feed(text[start : start + cut])
    scanner.close()
    return values


def prune(value, *, whole=False):
    """Return the part of a parsed value that a scan keeps."""
    if isinstance(value, dict):
        kept = {}
        for name, member in value.items():
            if whole or name in NAMES:
                kept[name] = prune(member, whole=whole or name in WHOLE_NAMES)
        return kept
    if isinstance(value, list):
        return [
            prune(element, whole=whole) for element in value if whole or isinstance(element, dict)
        ]
    return value


names = st.sampled_from([*sorted(NAMES), "content", 'q"\\', "é", ""])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=30,
)  # fmt: skip


@given(
    st.dictionaries(names, json_values, max_size=5),
    st.integers(1, 20),
    st.booleans(),
    st.sampled_from([None, 1]),
)
def test_scanned_object_equals_pruned_object(value, cut, ascii_only, indent):
    """Any object, cut anywhere, gives the same result as parsing and pruning."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert [prune(value)] == scan(text, cut)


@given(st.lists(st.dictionaries(names, json_values, max_size=3), max_size=4), st.integers(1, 20))
def test_array_gives_its_elements(elements, cut):
    """The elements of an outermost array are emitted one by one."""
    assert [prune(element) for element in elements] == scan(json.dumps(elements).encode(), cut)


@given(st.binary(max_size=300), st.integers(1, 20))
def test_garbage_never_raises(text, cut):
    """Bytes that are not JSON are ignored."""
    assert isinstance(scan(b'{"usage":' + text, cut), list)


@pytest.mark.parametrize("end", range(40))
def test_cut_off_text_gives_its_complete_members(end):
    """A value that is cut off keeps the members that were complete."""
    text = b'{"model":"m","usage":{"a":12,"b":34},"x":[1,{"c":"d'
    values = scan(text[: end + 12])
    assert values[0]["model"] == "m"


@pytest.mark.parametrize("cut", [50, 1000, 65536])
@pytest.mark.parametrize(
    "large",
    [
        "[" * 3000 + "]" * 3000,
        json.dumps([{"token": " a", "bytes": [32], "top": [{"t": '"'}]}] * 3000),
        json.dumps(['\\"]}' * 50] * 300),
        json.dumps("\\" * 20_000),
        json.dumps('{"usage": {"a": 1}, "q": "\\""}' * 2000),
        json.dumps("é" * 20_000),
        json.dumps([0.25] * 20_000),
    ],
    ids=["brackets", "logprobs", "strings", "backslashes", "json", "unicode", "numbers"],
)
@pytest.mark.parametrize("name", ["skipped", "choices"])
def test_large_member_is_skipped(name, large, cut):
    """The members after a skipped one are found, however large and tricky it is."""
    text = f'{{"{name}": {{"content": {large}}}, "model": "m", "usage": {{"a": 1}}}}'.encode()
    kept = {} if name == "skipped" else {"choices": {}}
    assert [{**kept, "model": "m", "usage": {"a": 1}}] == scan(text, cut)


def test_long_text_is_not_kept():
    """A requested member with a long text becomes None, because names and words are short."""
    assert [{"model": None, "index": 1}] == scan(
        json.dumps({"model": "x" * 600, "index": 1}).encode(), 100
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{{"choices": [{}], "model": "m"}}'.format(",".join(['{"index": 1}'] * 50_000)), id="elements", marks=pytest.mark.slow),
        pytest.param('{{"usage": {{{}}}, "model": "m"}}'.format(",".join(f'"k{n}": [{{"a": 1}}]' for n in range(50_000))), id="members", marks=pytest.mark.slow),
        pytest.param('{{"choices": {}"x"{}, "model": "m"}}'.format('{"choices":' * 50_000, "}" * 50_000), id="depth of objects"),
        pytest.param('{{"choices": {}1{}, "model": "m"}}'.format("[" * 50_000, "]" * 50_000), id="depth of arrays"),
    ],
)  # fmt: skip
def test_memory_is_bounded(text):
    """No document makes a scan keep more than a few thousand values or miss later members."""
    data = text.encode()
    tracemalloc.start()
    values = scan(data, 65536)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert values[0]["model"] == "m"
    assert peak < 3_000_000


@pytest.mark.parametrize("cut", [100, 64 * 1024])
@pytest.mark.parametrize(
    "other",
    [7, -1.5e3, True, None, "text", 'q"\\', {}, [], {"a": [{"usage": 1}, "]"]}, [[[[[1]]]]]],
)
def test_a_member_among_very_many_others_is_kept(other, cut):
    """Many members that are not kept are skipped at once, whatever their values are."""
    members = {f"k{number}": other for number in range(3000)}
    text = json.dumps({**members, "index": 1, **members, "usage": {"a": 2}}).encode()
    assert [{"index": 1, "usage": {"a": 2}}] == scan(text, cut)


@pytest.mark.parametrize("garbage", [b"1 ", b"true, ", b"x 7.5 "])
def test_an_object_with_other_keys_than_strings_is_not_read_on(garbage):
    """It is no JSON, and may be very long."""
    text = b'{"index": 1, ' + garbage * 1000 + b'"usage": {}}'
    assert [{"index": 1}] == scan(text)


@pytest.mark.parametrize("text", [b'"index": 1, ', b'"a" ', b'"usage": [[], "a", 1], '])
def test_a_text_of_too_many_tokens_is_not_read_on(text, monkeypatch):
    """The time for a text has a bound, however long it is."""
    monkeypatch.setattr(json_scanner, "_MAX_TOKENS", 1000)
    (value,) = scan(b"{" + text * 10_000 + b'"choices": []}', 64 * 1024)
    assert "choices" not in value


@pytest.mark.parametrize("text", [b"1 true x ", b"[] ", b'"a" ', b"word "])
def test_a_value_behind_other_text_is_kept(text):
    """Text outside objects and arrays is skipped."""
    assert [{"index": 1}] == scan(text * 1000 + b'{"index": 1}')
