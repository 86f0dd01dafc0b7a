"""Runs the cases of a program one by one, and prints the result of each as a line of JSON."""

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
TIMEOUT = 1.0
"""Seconds for the cases in which the server stops in the middle of a body; enough for its begin."""
CASES = []


def case(function):
    """Adds a case: a function that takes a URL-maker and returns its observations; it may be async."""
    CASES.append(function)
    return function


class Urls:
    """Makes the URLs of one case, with the name of the case in their query."""

    def __init__(self, name):
        self.name = name

    def __call__(self, path="/v1/chat/completions", **query):
        return f"{BASE}{path}?{urlencode({'case': self.name, **query})}"


def type_name(value):
    """Returns the full name of a value's type."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def catch_failure(function, *arguments, **options):
    """Returns the exceptions that a call raises, as `describe_exceptions` does."""
    try:
        function(*arguments, **options)
    except BaseException as error:
        return describe_exceptions(error)
    return None


def describe_exceptions(error):
    """Returns types and texts of an exception and its causes, without addresses and ports."""
    exceptions = []
    while error is not None and len(exceptions) < 9:
        text = re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{12}\b|port=\d+|:\d{4,5}", "...", str(error))
        exceptions.append([type_name(error), text])
        error = error.__cause__ or error.__context__
    return exceptions


def make_retries(total):
    """Returns urllib3's retries of a POST after a status 503."""
    import urllib3

    new = hasattr(urllib3.Retry.DEFAULT, "allowed_methods")  # since 1.26
    methods = {"allowed_methods" if new else "method_whitelist": False}
    return urllib3.Retry(total, status_forcelist=[503], backoff_factor=0, **methods)


def main():
    """Runs the cases that the command line names, or all."""
    chosen = [
        function for function in CASES if function.__name__ in sys.argv[1:] or not sys.argv[1:]
    ]
    for function in chosen:
        urls = Urls(function.__name__)
        try:
            result = function(urls)
            if inspect.isawaitable(result):
                result = asyncio.run(result)
        except BaseException as error:
            result = {"raised": describe_exceptions(error)}
        print(json.dumps([function.__name__, result], default=type_name), flush=True)
