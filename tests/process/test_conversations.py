"""Programs that set no chat id: each conversation has an id of its own."""

import stat
import sys

import pytest

PROGRAM = """
import json, sys
import httpx

URL, FIRST, SAVED = sys.argv[1:4]
MODE = sys.argv[4:]
RULES = {"role": "system", "content": "MARKED rules"}

def call(client, name, turns, question):
    turns.append({"role": "user", "content": question})
    body = {"model": "gpt-4o-mini", "messages": turns, "stream": "stream" in MODE}
    answer = client.post(URL + "/v1/chat/completions", json=body, headers={"x-mark": name})
    answer.raise_for_status()
    if "stream" in MODE:
        text = "MARKED answer"
    else:
        text = answer.json()["choices"][0]["message"]["content"]
    turns.append({"role": "assistant", "content": text})

try:
    with open(SAVED) as file:
        talks = json.load(file)
except FileNotFoundError:
    talks = {"ann": [RULES], "ben": [RULES]}
with httpx.Client() as client:
    for number in range(3):
        for name, turns in talks.items():
            count = len(turns)
            question = f"MARKED {FIRST}" if count == 1 and FIRST else f"MARKED {name} {count}"
            call(client, name, turns, question)
with open(SAVED, "w") as file:
    json.dump(talks, file)
"""


@pytest.fixture
def talk(run, llm, sink, tmp_path):
    """Runs the program; returns the chat ids of all calls of each conversation until now."""

    def talk(*mode, first="", **env):
        done = run(PROGRAM, llm.url, first, str(tmp_path / "saved.json"), *mode, env=env)
        assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
        chat_ids = {"ann": [], "ben": []}
        for span in sink.spans:
            attributes = span["attributes"]
            mark = attributes["http.request.header.x-mark"][0]
            chat_ids[mark].append(attributes.get("lupis.chat.id"))
            is_given = attributes.get("lupis.chat.source") != "derived"
            given_id = chat_ids[mark][-1] if is_given else None
            assert given_id == attributes.get("gen_ai.conversation.id")
        return chat_ids

    return talk


def are_separate(chat_ids, calls):
    """Returns whether each conversation has `calls` calls with an id that only they have."""
    (ann,), (ben,) = set(chat_ids["ann"]), set(chat_ids["ben"])
    return None not in {ann, ben} and ann != ben and {calls} == set(map(len, chat_ids.values()))


@pytest.mark.slow
@pytest.mark.parametrize("mode", [(), ("stream",)], ids=["json", "stream"])
def test_alternating_conversations_keep_their_ids_after_a_restart(mode, talk):
    """Each conversation has one id for all of its calls."""
    assert are_separate(talk(*mode), 3)
    assert are_separate(talk(*mode), 6)


@pytest.mark.parametrize("mode", [(), ("stream",)], ids=["json", "stream"])
def test_conversations_with_the_same_first_words_have_two_ids(mode, talk):
    """They are told apart by later calls."""
    assert are_separate(talk(*mode, first="hello"), 3)


@pytest.mark.slow
def test_the_same_key_gives_the_same_ids(talk, tmp_path):
    """LUPIS_HASH_KEY does so on machines without a common data folder."""
    ids = [
        talk(LUPIS_HASH_KEY="k", LUPIS_DATA_DIR=str(tmp_path / folder))["ann"][-1]
        for folder in ("one", "two")
    ]
    assert ids[0] == ids[1]
    assert [] == list(tmp_path.glob("*/chat-id.key"))
    assert ids[0] != talk(LUPIS_HASH_KEY="other")["ann"][-1]


@pytest.mark.slow
def test_another_data_folder_has_another_key(talk, tmp_path):
    """The key is readable only by its owner."""
    first = talk(LUPIS_DATA_DIR=str(tmp_path / "one"))["ann"][-1]
    second = talk(LUPIS_DATA_DIR=str(tmp_path / "two"))["ann"][-1]
    assert first != second
    if sys.platform != "win32":
        modes = [
            stat.S_IMODE((tmp_path / "one" / name).stat().st_mode) for name in ("", "chat-id.key")
        ]
        assert [0o700, 0o600] == modes


def test_conversations_have_ids_without_a_data_folder(talk, tmp_path):
    """The ids then hold for this process."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert are_separate(talk(LUPIS_DATA_DIR=str(tmp_path / "file" / "data")), 3)


def test_a_variable_switches_the_ids_off(talk):
    """LUPIS_AUTO_CHAT_ID=false leaves calls without an id."""
    chat_ids = talk(LUPIS_AUTO_CHAT_ID="false")
    assert {None} == {*chat_ids["ann"], *chat_ids["ben"]}


def test_no_text_of_a_conversation_is_sent_or_stored(talk, sink, tmp_path):
    """Neither the collector nor the data folder has it."""
    talk(first="hello", LUPIS_DATA_DIR=str(tmp_path / "data"))
    sent = repr(sink.spans)
    kept = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert "lupis.chat.source" in sent
    assert "MARKED" not in sent
    assert b"MARKED" not in kept
