"""Makes LLM calls while another tracer traces the program too.

usage: traced_program.py TRACER first|later CALL,...
"""

import json
import sys

import calls
import tracers

TOKENS = (
    ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
)


def outline_span(span):
    """Returns a span's name, input tokens, output tokens, and the names of its attributes."""
    attributes = span.attributes or {}
    tokens = [
        next((attributes[name] for name in names if name in attributes), 0) for names in TOKENS
    ]
    return [span.name, *tokens, sorted(attributes)]


def main():
    """Makes each call; with `later`, also before the tracer is set up."""
    tracer, when, calls_text = sys.argv[1:]
    names = calls_text.split(",")
    if when == "later":
        for name in names:
            getattr(calls, f"call_{name}")()
    exporter = getattr(tracers, tracer)()
    for name in names:
        getattr(calls, f"call_{name}")()
    spans = exporter.get_finished_spans() if exporter is not None else ()
    print(json.dumps([outline_span(span) for span in spans]))


if __name__ == "__main__":
    main()
