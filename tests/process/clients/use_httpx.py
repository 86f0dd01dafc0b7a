"""Uses of httpx, or of httpx2 if that is the first argument."""

import asyncio
import gc
import importlib
import sys

from cases import BODY, TIMEOUT, case, catch_failure, describe_exceptions, main, type_name

httpx = importlib.import_module(sys.argv.pop(1))
client = httpx.Client(trust_env=False)


def post(url, **options):
    return client.post(url, json=BODY, **options)


def stream(url, **options):
    return client.stream("POST", url, json=BODY, **options)


@case
def json_body(urls):
    answer = post(urls())
    return [
        answer.json(),
        type_name(answer),
        type_name(answer.stream),
        answer.is_closed,
        answer.http_version,
    ]


@case
def stream_lines(urls):
    with stream(urls(form="stream", framing="chunked", pause=0.05)) as answer:
        return [type_name(answer.stream), list(answer.iter_lines())]


@case
def stream_raw(urls):
    with stream(urls(form="stream", framing="chunked")) as answer:
        return [b"".join(answer.iter_raw(7)).decode(), answer.num_bytes_downloaded]


@case
def stream_text(urls):
    with stream(urls(form="stream")) as answer:
        return "".join(answer.iter_text())


@case
def until_close(urls):
    return post(urls(framing="close")).json()


@case
def gzipped(urls):
    return post(urls(gzip=1, framing="chunked")).json()


@case
def early_break(urls):
    with stream(urls(form="stream", framing="chunked", pause=0.02)) as answer:
        for line in answer.iter_lines():
            return line
    return None


@case
def unread(urls):
    with stream(urls(form="stream", framing="chunked")) as answer:
        return answer.status_code


@case
def dropped(urls):
    # An unclosed response keeps its connection, so the case has a client of its own.
    fresh = httpx.Client(trust_env=False)
    request = fresh.build_request("POST", urls(form="stream", framing="chunked"), json=BODY)
    status = fresh.send(request, stream=True).status_code
    del fresh, request
    gc.collect()
    return status


@case
def cut(urls):
    return catch_failure(post, urls(cut=1))


@case
def cut_chunked(urls):
    return catch_failure(post, urls(form="stream", framing="chunked", cut=1))


@case
def timed_out(urls):
    return catch_failure(post, urls(hang=1), timeout=TIMEOUT)


@case
def refused(urls):
    return catch_failure(post, "http://127.0.0.1:9/v1/chat/completions?case=refused")


@case
def read_twice(urls):
    with stream(urls(form="stream")) as answer:
        list(answer.iter_raw())
        return catch_failure(lambda: list(answer.iter_raw()))


@case
def head(urls):
    answer = client.head(urls())
    return [answer.status_code, answer.text]


@case
def nothing(urls):
    answer = post(urls(status=204))
    return [answer.status_code, answer.text]


@case
def redirect(urls):
    answer = post(urls(redirect=1), follow_redirects=True)
    return [answer.json(), [response.status_code for response in answer.history]]


@case
def transport_retries(urls):
    with httpx.Client(transport=httpx.HTTPTransport(retries=1)) as retrying:
        return retrying.post(urls(), json=BODY).json()


@case
def subclassed(urls):
    class Transport(httpx.HTTPTransport):
        def handle_request(self, request):
            request.headers["x-mine"] = "1"
            return super().handle_request(request)

    with httpx.Client(transport=Transport()) as mine:
        return mine.post(urls(), json=BODY).json()


@case
def kept_alive(urls):
    with httpx.Client(trust_env=False) as fresh:
        url = urls(form="stream", framing="chunked")
        return len({fresh.post(url, json=BODY).headers["x-connection"] for _ in range(3)})


@case
def uploaded(urls):
    def parts():
        yield b'{"model": "test-model", '
        yield b'"messages": []}'

    return client.post(urls(), content=parts()).json()


@case
def mocked(urls):
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=[request.method]))
    with httpx.Client(transport=transport) as mock:
        return mock.post(urls(), json=BODY).json()


@case
def no_llm(urls):
    return post(urls("/data")).json()


def async_client_case(function):
    """Adds a case that takes an AsyncClient."""

    async def run(urls):
        async with httpx.AsyncClient(trust_env=False) as async_client:
            result = await function(urls, async_client)
        # The loop closes generators that the case has left one after the other, in some turns each.
        # At its end, it closes the rest at once in the order of their addresses, and httpx2 2.0
        # prints an error in some orders.
        for _ in range(100):
            await asyncio.sleep(0)
        return result

    run.__name__ = function.__name__
    return case(run)


@async_client_case
async def async_json_body(urls, async_client):
    answer = await async_client.post(urls(), json=BODY)
    return [answer.json(), type_name(answer.stream)]


@async_client_case
async def async_stream_lines(urls, async_client):
    url = urls(form="stream", framing="chunked", pause=0.05)
    async with async_client.stream("POST", url, json=BODY) as answer:
        return [type_name(answer.stream), [line async for line in answer.aiter_lines()]]


@async_client_case
async def async_gzipped(urls, async_client):
    return (await async_client.post(urls(gzip=1), json=BODY)).json()


@async_client_case
async def async_early_break(urls, async_client):
    url = urls(form="stream", framing="chunked", pause=0.02)
    async with async_client.stream("POST", url, json=BODY) as answer:
        async for line in answer.aiter_lines():
            return line
    return None


@async_client_case
async def async_cut(urls, async_client):
    try:
        await async_client.post(urls(cut=1), json=BODY)
    except Exception as error:
        return describe_exceptions(error)


@async_client_case
async def async_timed_out(urls, async_client):
    try:
        await async_client.post(urls(hang=1), json=BODY, timeout=TIMEOUT)
    except Exception as error:
        return describe_exceptions(error)


@async_client_case
async def async_cancelled(urls, async_client):
    reading = asyncio.Event()

    async def read():
        url = urls(form="stream", hang=1)
        async with async_client.stream("POST", url, json=BODY) as answer:
            async for _ in answer.aiter_raw():
                reading.set()

    task = asyncio.create_task(read())
    await reading.wait()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError as error:
        return [type_name(error), task.cancelled()]


@async_client_case
async def async_gathered(urls, async_client):
    answers = await asyncio.gather(*(async_client.post(urls(), json=BODY) for _ in range(4)))
    return [answer.json() for answer in answers]


@async_client_case
async def async_kept_alive(urls, async_client):
    numbers = set()
    for _ in range(3):
        answer = await async_client.post(urls(form="stream", framing="chunked"), json=BODY)
        numbers.add(answer.headers["x-connection"])
    return len(numbers)


if __name__ == "__main__":
    main()
