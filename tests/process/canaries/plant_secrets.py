"""Puts the secrets from standard input into every text that a span or an event can hold.

usage: plant_secrets.py ECHO_HOST LLM_URL
"""

import asyncio
import http.client
import json
import re
import sys
from importlib.util import find_spec
from urllib.parse import quote, urlsplit

from lupis_instrument import LupisBlockOptions, LupisMetadata, LupisSDK

ECHO, LLM = sys.argv[1:]
DEAD = "127.0.0.1:9"
PLANTED = json.load(sys.stdin)
TEXTS, NAMES = PLANTED["texts"], PLANTED["names"]
HEADER_NAMES = frozenset(PLANTED["header_names"])
GROUP_SIZE = 4


def group_texts():
    """Yields the texts in groups; a text of many lines, which a rule reads to its end, is alone."""
    longest = [text for text in TEXTS if "\n" in text]
    shorter = [text for text in TEXTS if "\n" not in text]
    yield from ([text] for text in longest)
    yield from (shorter[start : start + GROUP_SIZE] for start in range(0, len(shorter), GROUP_SIZE))


def build_url(host, texts, **query):
    """Returns a URL with secrets in its path, its query and its fragment."""
    path = "/".join(quote(text, safe="") for text in texts)
    pairs = "&".join(f"q={quote(text, safe='')}" for text in texts)
    named = "&".join(f"{name}={value}" for name, value in query.items())
    return f"http://{host}/{path}?{pairs}&{named}#{pairs}&{named}"


def build_headers(texts, named):
    """Returns headers with secrets as values, and as names where the characters allow it."""
    plain = [text.replace("\n", " ") for text in texts]
    names = dict.fromkeys((text for text in texts if text in HEADER_NAMES), "1")
    values = {f"x-note-{number}": text for number, text in enumerate(plain)}
    hidden = {f"x-{name.replace('_', '-')}": value for name, value in named.items()}
    return {**names, **values, **hidden, "authorization": f"Bearer {plain[0]}"}


def list_requests():
    """Yields the URL, headers and body of each request."""
    pairs = iter(list(NAMES.items()) * 9)
    for texts in group_texts():
        named = dict(next(pairs) for _ in range(8))
        yield build_url(ECHO, texts, **named), build_headers(texts, named), {"model": texts[0]}
        user = quote(texts[0], safe="")
        yield f"http://{user}:{next(iter(named.values()))}@{ECHO}/v1/chat/completions", {}, {}
        yield build_url(DEAD, texts, **named), build_headers(texts, named), {}
        model = {"model": texts[-1], "messages": [{"role": "user", "content": texts[0]}]}
        yield f"{LLM}/v1/chat/completions?key={user}", build_headers(texts, named), model


def use_requests():
    import requests as client

    with client.Session() as session:
        for url, headers, body in list_requests():
            try:
                session.post(url, headers=headers, json=body).text  # noqa: B018 - reads it
            except (client.RequestException, ValueError):
                pass


def use_urllib3():
    import urllib3

    pool = urllib3.PoolManager(retries=False)
    for url, headers, body in list_requests():
        try:
            pool.request("POST", url, headers=headers, body=json.dumps(body))
        except urllib3.exceptions.HTTPError:
            pass


def use_http_client():
    for url, headers, body in list_requests():
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port)
        target = f"{parts.path}?{parts.query}#{parts.fragment}"
        try:
            connection.request("POST", target, json.dumps(body), headers)
            connection.getresponse().read()
        except (OSError, ValueError, http.client.HTTPException):
            pass
        connection.close()


def use_httpx(module="httpx"):
    client = __import__(module)
    with client.Client(trust_env=False) as session:
        for url, headers, body in list_requests():
            try:
                session.post(url, headers=headers, json=body)
            except (client.HTTPError, ValueError, client.InvalidURL):
                pass


def use_httpx2():
    use_httpx("httpx2")


def use_aiohttp():
    asyncio.run(_use_aiohttp())


async def _use_aiohttp():
    import aiohttp
    from yarl import URL

    async with aiohttp.ClientSession() as session:
        for url, headers, body in list_requests():
            try:
                encoded_url = URL(url, encoded=True)
                async with session.post(encoded_url, headers=headers, json=body) as answer:
                    await answer.read()
            except (aiohttp.ClientError, ValueError):
                pass


def use_spans(sdk):
    """Puts secrets into span names, attributes, events, links, states and exceptions."""
    from opentelemetry.trace import (
        Link,
        SpanContext,
        Status,
        StatusCode,
        TraceFlags,
        TraceState,
    )

    for number, text in enumerate(TEXTS):
        name, value = list(NAMES.items())[number % len(NAMES)]
        attributes = {"note": text, "notes": [text, "x"], f"about {text}": 1, name: value}
        allowed = re.fullmatch(r"[!-+\--<>-~]{1,256}", text)
        state = TraceState([("vendor", text if allowed else "0")])
        remote_parent = SpanContext(1 + number, 1, True, TraceFlags(1), state)
        try:
            with sdk.create_span(text, attributes) as span:
                span.add_event(text, {**attributes, "quoted": f'{{"{name}": "{value}"}}'})
                span.add_event(f"{name}={value}")
                span.record_exception(KeyError(text), attributes)
                raise ValueError(f"{name}: {value}; {text}") from LookupError(text)  # noqa: TRY301
        except ValueError:
            pass
        tracer = sdk.get_tracer()
        with tracer.start_as_current_span(
            "linked", links=[Link(remote_parent, attributes)]
        ) as span:
            span.set_status(Status(StatusCode.ERROR, f"{text} {name}={value}"))
        with tracer.start_as_current_span("inherited", context=_remote_context(remote_parent)):
            pass


def _remote_context(span_context):
    from opentelemetry.trace import NonRecordingSpan, set_span_in_context

    return set_span_in_context(NonRecordingSpan(span_context))


def use_events(sdk):
    """Puts secrets into event names, nested properties, metadata and chat ids."""
    for number, text in enumerate(TEXTS):
        name, value = list(NAMES.items())[number % len(NAMES)]
        nested = {"note": [text, {text: {"deep": text, name: [value]}}]}
        metadata = LupisMetadata(text, text, text, text, {"note": text, text: 1, name: value})
        sdk.track_event(text, {**nested, name: {"inner": value}, text: text}, metadata)
        with sdk.conversation(text, metadata), sdk.create_span("with metadata"):
            sdk.set_chat_id(text)
        sdk.run_sync(lambda: None, LupisBlockOptions(chat_id=text, name=f"{name}={value}"))


def main():
    sdk = LupisSDK.get_instance()
    clients = [use_requests, use_urllib3, use_http_client, use_httpx, use_aiohttp]
    for use in [*clients, use_httpx2] if find_spec("httpx2") else clients:
        use()
    use_spans(sdk)
    use_events(sdk)
    sdk.flush(60)


main()
