"""Conversations in whole programs that say nothing of them."""

import stat
import sys

import pytest

PROGRAM = """
import json, sys
import httpx

URL, FIRST, SAVED = sys.argv[1:4]
MODE = sys.argv[4:]
RULES = {"role": "system", "content": "MARKED rules"}

def ask(client, name, turns, question):
    turns.append({"role": "user", "content": question})
    body = {"model": "gpt-4o-mini", "messages": turns, "stream": "stream" in MODE}
    answer = client.post(URL + "/v1/chat/completions", json=body, headers={"x-mark": name})
    answer.raise_for_status()
    said = "MARKED answer" if "stream" in MODE else answer.json()["choices"][0]["message"]["content"]
    turns.append({"role": "assistant", "content": said})

try:
    with open(SAVED) as file:
        talks = json.load(file)
except FileNotFoundError:
    talks = {"ann": [RULES], "ben": [RULES]}
with httpx.Client() as client:
    for number in range(3):
        for name, turns in talks.items():
            said = len(turns)
            question = f"MARKED {FIRST}" if said == 1 and FIRST else f"MARKED {name} {said}"
            ask(client, name, turns, question)
with open(SAVED, "w") as file:
    json.dump(talks, file)
"""


@pytest.fixture
def talk(run, llm, sink, tmp_path):
    """Runs the program; gives the chat ids of each conversation's calls until now."""

    def talk(*mode, first="", **env):
        done = run(PROGRAM, llm.url, first, str(tmp_path / "saved.json"), *mode, env=env)
        assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
        found = {"ann": [], "ben": []}
        for span in sink.spans:
            attributes = span["attributes"]
            mark = attributes["http.request.header.x-mark"][0]
            found[mark].append(attributes.get("lupis.chat.id"))
            assert attributes.get("gen_ai.conversation.id") == found[mark][-1]
        return found

    return talk


def are_two(found, calls):
    """Whether each conversation has one id, which all of its calls have."""
    (ann,), (ben,) = set(found["ann"]), set(found["ben"])
    return None not in {ann, ben} and ann != ben and {calls} == set(map(len, found.values()))


@pytest.mark.parametrize("mode", [(), ("stream",)], ids=["json", "stream"])
def test_two_that_take_turns_have_two_ids_also_after_a_restart(mode, talk):
    """Each with all of its calls."""
    assert are_two(talk(*mode), 3)
    assert are_two(talk(*mode), 6)


@pytest.mark.parametrize("mode", [(), ("stream",)], ids=["json", "stream"])
def test_two_that_begin_with_the_same_words_have_two_ids(mode, talk):
    """They are followed as they grow."""
    assert are_two(talk(*mode, first="hello"), 3)


def test_ids_are_the_same_wherever_the_key_is(talk, tmp_path):
    """LUPIS_HASH_KEY, on machines with nothing else in common."""
    ids = [
        talk(LUPIS_HASH_KEY="k", LUPIS_DATA_DIR=str(tmp_path / folder))["ann"][-1]
        for folder in ("one", "two")
    ]
    assert ids[0] == ids[1]
    assert [] == list(tmp_path.glob("*/chat-id.key"))
    assert ids[0] != talk(LUPIS_HASH_KEY="other")["ann"][-1]


def test_another_folder_has_another_key(talk, tmp_path):
    """Kept for the user alone."""
    one = talk(LUPIS_DATA_DIR=str(tmp_path / "one"))["ann"][-1]
    two = talk(LUPIS_DATA_DIR=str(tmp_path / "two"))["ann"][-1]
    assert one != two
    if sys.platform != "win32":
        modes = [
            stat.S_IMODE((tmp_path / "one" / name).stat().st_mode) for name in ("", "chat-id.key")
        ]
        assert [0o700, 0o600] == modes


def test_a_folder_that_cannot_be_made_is_no_trouble(talk, tmp_path):
    """The ids are then this process's."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert are_two(talk(LUPIS_DATA_DIR=str(tmp_path / "file" / "data")), 3)


def test_it_can_be_switched_off(talk):
    """LUPIS_AUTO_CHAT_ID=false."""
    found = talk(LUPIS_AUTO_CHAT_ID="false")
    assert {None} == {*found["ann"], *found["ben"]}


def test_nothing_of_the_text_leaves_or_is_kept(talk, sink, tmp_path):
    """Neither to the collector nor to the data folder."""
    talk(first="hello", LUPIS_DATA_DIR=str(tmp_path / "data"))
    sent = repr(sink.spans)
    kept = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert "lupis.chat.source" in sent
    assert "MARKED" not in sent
    assert b"MARKED" not in kept
