"""Runs the cases of a program one by one and prints what each saw, a line of JSON a case."""

import asyncio
import inspect
import json
import os
import re
import sys
from urllib.parse import urlencode

BODY = {"model": "test-model", "messages": [{"role": "user", "content": "Count!"}]}
DATA = json.dumps(BODY).encode()
HEADERS = {"content-type": "application/json"}
BASE = os.environ["WIRE_URL"]
CASES = []


def case(function):
    """Adds a case: a function of its URL-maker, plain or async, that returns what it saw."""
    CASES.append(function)
    return function


class Urls:
    """Makes the URLs of one case, which say so in their query."""

    def __init__(self, name):
        self.name = name

    def __call__(self, path="/v1/chat/completions", **query):
        return f"{BASE}{path}?{urlencode({'case': self.name, **query})}"


def kind(thing):
    """The full name of a thing's type."""
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def failure(function, *arguments, **options):
    """The exception that a call ends with, and those that led to it, as text."""
    try:
        function(*arguments, **options)
    except BaseException as error:
        return chain(error)
    return None


def chain(error):
    """An exception and those that led to it, as text without addresses and ports."""
    found = []
    while error is not None and len(found) < 9:
        text = re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{12}\b|port=\d+|:\d{4,5}", "...", str(error))
        found.append([kind(error), text])
        error = error.__cause__ or error.__context__
    return found


def main():
    """Runs the cases that the command line names, or all."""
    chosen = [each for each in CASES if each.__name__ in sys.argv[1:] or not sys.argv[1:]]
    for each in chosen:
        urls = Urls(each.__name__)
        try:
            result = each(urls)
            if inspect.isawaitable(result):
                result = asyncio.run(result)
        except BaseException as error:
            result = {"raised": chain(error)}
        print(json.dumps([each.__name__, result], default=kind), flush=True)
