"""Holds two alternating conversations with OpenAI's library. Lupis finds out which is which.

The program sets no chat ids: Lupis derives the chat id of a call from the first messages. With
FILE, the program stores the messages there, and continues the conversations in its next run.

    lupis-run --exporter console python examples/two_conversations_example.py [FILE]

Needs: pip install openai
"""

import json
import sys
from pathlib import Path

import fake_llm
import openai

RULES = {"role": "system", "content": "You are the guide of a mountain hut."}
QUESTIONS = {
    "Ann": ["Is the pass open?", "Where do I sleep?", "What does it cost?"],
    "Ben": ["Is the lake warm?", "Is there a boat?", "May I bring my dog?"],
}


def read_conversations(file):
    """Return the stored messages by name, or the messages of new conversations."""
    if file and file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    return {name: [RULES] for name in QUESTIONS}


def ask(client, turns, question):
    """Ask one question in a conversation, and add question and answer to it."""
    turns.append({"role": "user", "content": question})
    completion = client.chat.completions.create(model="gpt-4o-mini", messages=turns)
    turns.append({"role": "assistant", "content": completion.choices[0].message.content})
    return turns[-1]["content"]


def main():
    """Ask the questions of both conversations in turn."""
    file = Path(sys.argv[1]) if sys.argv[1:] else None
    conversations = read_conversations(file)
    with fake_llm.base_url() as url, openai.OpenAI(
        base_url=f"{url}/v1", api_key="made-up-key"
    ) as client:
        for questions in zip(*QUESTIONS.values()):
            for name, question in zip(QUESTIONS, questions):
                answer = ask(client, conversations[name], question)
                print(f"{name}: {question} {answer}")
    if file:
        file.write_text(json.dumps(conversations), encoding="utf-8")


if __name__ == "__main__":
    main()
