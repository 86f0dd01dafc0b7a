"""A program that something else traces too: agent, when it is set up, and ways to call."""

import json
import sys

import agents
import calls

TOKENS = (
    ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
)


def told(span):
    """What one of the agent's spans says."""
    attributes = span.attributes or {}
    tokens = [
        next((attributes[name] for name in names if name in attributes), 0) for names in TOKENS
    ]
    return [span.name, *tokens, sorted(attributes)]


def main():
    """Calls in each way; `later` has the agent set up after a first call."""
    agent, when, ways = sys.argv[1:]
    ways = ways.split(",")
    if when == "later":
        for way in ways:
            getattr(calls, f"call_{way}")()
    exporter = getattr(agents, agent)()
    for way in ways:
        getattr(calls, f"call_{way}")()
    spans = exporter.get_finished_spans() if exporter is not None else ()
    print(json.dumps([told(span) for span in spans]))


if __name__ == "__main__":
    main()
