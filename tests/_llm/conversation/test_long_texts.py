"""Long texts are replaced before a request is parsed, and come back for the fingerprint."""

import json

import pytest

from lupis_instrument._llm.conversation.long_texts import (
    replace_long_texts,
    restore_long_texts,
)

PICTURE = "data:image/png;base64," + "QUJD" * 10_000


def write_body(*texts):
    """Return a request with these texts."""
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": texts}]}).encode()


@pytest.mark.parametrize("texts", [[PICTURE], ["a", PICTURE, "b", PICTURE + "R"], [PICTURE] * 3])
def test_long_texts_come_back_unchanged(texts):
    """The short text is JSON, too."""
    short, long_texts = replace_long_texts(write_body(*texts))
    assert len(short) < 3000
    assert "m" == json.loads(short)["model"]
    assert write_body(*texts) == b"".join(restore_long_texts(short, long_texts))


def test_equal_texts_have_equal_stand_ins():
    """Other texts have others: conversations are told apart by them."""
    short = json.loads(replace_long_texts(write_body(PICTURE, PICTURE, PICTURE[:-1]))[0])
    first, second, other = short["messages"][0]["content"]
    assert (True, False) == (first == second, first == other)


@pytest.mark.parametrize(
    "content",
    [
        "word " * 10_000,
        "é" * 40_000,
        "a\\b" * 20_000,
        "line\n" * 10_000,
        "short",
        '"quoted"' * 10_000,
        [1.25] * 10_000,
        [[1, 2], [3]] * 5_000,
    ],
)
def test_other_content_stays(content):
    """Prose, escapes and numbers have no stand-ins."""
    body = json.dumps({"content": content}, ensure_ascii=False).encode()
    assert (body, {}) == replace_long_texts(body)


def test_a_cut_off_text_stays():
    """Its end is missing."""
    body = write_body(PICTURE)[:-20_000]
    assert (body, {}) == replace_long_texts(body)
