"""Uses of aiohttp."""

import asyncio
import contextvars
import gc

import aiohttp
from cases import BODY, TIMEOUT, case, describe_exceptions, main, type_name


def session_case(function):
    """Adds a case that takes a session."""

    async def run(urls):
        async with aiohttp.ClientSession() as session:
            return await function(urls, session)

    run.__name__ = function.__name__
    return case(run)


@session_case
async def json_body(urls, session):
    async with session.post(urls(), json=BODY) as answer:
        content = answer.content
        types = [type_name(answer), isinstance(content, aiohttp.StreamReader), content.at_eof()]
        return [*types, await answer.json(), content.at_eof(), content.total_bytes]


@session_case
async def text(urls, session):
    async with session.post(urls(framing="chunked"), json=BODY) as answer:
        return await answer.text()


@session_case
async def stream_lines(urls, session):
    url = urls(form="stream", framing="chunked", pause=0.05)
    async with session.post(url, json=BODY) as answer:
        return [line.decode() async for line in answer.content]


@session_case
async def stream_any(urls, session):
    async with session.post(urls(form="stream", framing="chunked"), json=BODY) as answer:
        pieces = [data async for data in answer.content.iter_any()]
        return b"".join(pieces).decode()


@session_case
async def stream_chunked(urls, session):
    async with session.post(urls(form="stream", framing="chunked"), json=BODY) as answer:
        return b"".join([data async for data in answer.content.iter_chunked(9)]).decode()


@session_case
async def stream_chunks(urls, session):
    url = urls(form="stream", framing="chunked", pause=0.02)
    async with session.post(url, json=BODY) as answer:
        chunks = answer.content.iter_chunks()
        return [[data.decode(), last] async for data, last in chunks if data]


@session_case
async def readchunk(urls, session):
    url = urls(form="stream", framing="chunked", pause=0.02)
    async with session.post(url, json=BODY) as answer:
        pieces = []
        while not answer.content.at_eof():
            data, _ = await answer.content.readchunk()
            pieces.append(data.decode())
        return "".join(pieces)


@session_case
async def read_pieces(urls, session):
    async with session.post(urls(form="stream"), json=BODY) as answer:
        content = answer.content
        start = await content.readexactly(20)
        line = await content.readuntil(b"\n")
        return [start.decode(), line.decode(), (await content.read()).decode()]


@session_case
async def read_some(urls, session):
    async with session.post(urls(framing="chunked"), json=BODY) as answer:
        body = b""
        while True:
            data = await answer.content.read(13)
            if not data:
                return body.decode()
            body += data


@session_case
async def too_short(urls, session):
    async with session.post(urls(), json=BODY) as answer:
        try:
            await answer.content.readexactly(100_000)
        except asyncio.IncompleteReadError as error:
            return [error.partial.decode(), error.expected]


@session_case
async def read_nowait(urls, session):
    async with session.post(urls(form="stream"), json=BODY) as answer:
        await answer.content.wait_eof()
        start = answer.content.read_nowait(5)
        return [start.decode(), answer.content.read_nowait().decode(), answer.content.is_eof()]


@session_case
async def polled(urls, session):
    url = urls(form="stream", framing="chunked", pause=0.06)
    async with session.post(url, json=BODY) as answer:
        lines = []
        while True:
            try:
                line = await asyncio.wait_for(answer.content.readline(), 0.02)
            except asyncio.TimeoutError:
                continue
            if not line:
                return lines
            lines.append(line.decode())


@session_case
async def until_close(urls, session):
    async with session.post(urls(framing="close"), json=BODY) as answer:
        return await answer.json()


@session_case
async def gzipped(urls, session):
    async with session.post(urls(gzip=1, framing="chunked"), json=BODY) as answer:
        return await answer.json()


@case
async def not_decompressed(urls):
    session = aiohttp.ClientSession(auto_decompress=False)
    async with session, session.post(urls(gzip=1), json=BODY) as answer:
        return (await answer.read()).hex()[:6]


@session_case
async def early_break(urls, session):
    url = urls(form="stream", framing="chunked", pause=0.05)
    async with session.post(url, json=BODY) as answer:
        async for line in answer.content:
            return line.decode()
    return None


@session_case
async def dropped(urls, session):
    answer = await session.post(urls(form="stream", framing="chunked", pause=0.02), json=BODY)
    status = answer.status
    del answer
    gc.collect()
    return status


@session_case
async def released(urls, session):
    answer = await session.post(urls(form="stream", hang=1), json=BODY)
    answer.close()
    return [answer.closed, type_name(answer.content.exception())]


@session_case
async def cut(urls, session):
    try:
        async with session.post(urls(cut=1), json=BODY) as answer:
            await answer.read()
    except Exception as error:
        return describe_exceptions(error)


@session_case
async def cut_lines(urls, session):
    try:
        url = urls(form="stream", framing="chunked", cut=1)
        async with session.post(url, json=BODY) as answer:
            async for _ in answer.content:
                pass
    except Exception as error:
        return describe_exceptions(error)


@session_case
async def timed_out(urls, session):
    limit = aiohttp.ClientTimeout(sock_read=TIMEOUT)
    try:
        async with session.post(urls(hang=1), json=BODY, timeout=limit) as answer:
            await answer.read()
    except Exception as error:
        return describe_exceptions(error)


@session_case
async def cancelled(urls, session):
    reading = asyncio.Event()

    async def read():
        async with session.post(urls(form="stream", hang=1), json=BODY) as answer:
            reading.set()
            return await answer.read()

    task = asyncio.create_task(read())
    await reading.wait()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError as error:
        return [type_name(error), task.cancelled()]


@session_case
async def refused(urls, session):
    try:
        await session.post("http://127.0.0.1:9/v1/chat/completions?case=refused", json=BODY)
    except Exception as error:
        return describe_exceptions(error)


@session_case
async def head(urls, session):
    async with session.head(urls()) as answer:
        return [answer.status, await answer.text()]


@session_case
async def nothing(urls, session):
    async with session.post(urls(status=204), json=BODY) as answer:
        return [answer.status, await answer.text()]


@session_case
async def redirect(urls, session):
    async with session.post(urls(redirect=1), json=BODY) as answer:
        return [await answer.json(), [response.status for response in answer.history]]


@session_case
async def gathered(urls, session):
    async def call():
        async with session.post(urls(), json=BODY) as answer:
            return await answer.json()

    return await asyncio.gather(*(call() for _ in range(4)))


@session_case
async def kept_alive(urls, session):
    numbers = set()
    for _ in range(3):
        async with session.post(urls(form="stream", framing="chunked"), json=BODY) as answer:
            await answer.read()
            numbers.add(answer.headers["x-connection"])
    return len(numbers)


@case
async def subclassed(urls):
    class Session(aiohttp.ClientSession):  # aiohttp warns about this, but libraries do it
        async def _request(self, *arguments, **options):
            return await super()._request(*arguments, **options)

    async with Session() as session, session.post(urls(), json=BODY) as answer:
        return [type_name(session), await answer.json()]


@case
async def traced(urls):
    seen = []

    async def ended(session, context, params):
        seen.append(params.response.status)

    config = aiohttp.TraceConfig()
    config.on_request_end.append(ended)
    session = aiohttp.ClientSession(trace_configs=[config])
    async with session, session.post(urls(), json=BODY) as answer:
        await answer.read()
    return seen


@case
async def traced_later(urls):
    """The program appends a trace config after the session was made; it makes a variable current."""
    variable = contextvars.ContextVar("variable", default="unset")

    async def started(session, context, params):
        context.token = variable.set("set")

    async def ended(session, context, params):
        variable.reset(context.token)

    config = aiohttp.TraceConfig()
    config.on_request_start.append(started)
    config.on_request_end.append(ended)
    config.freeze()
    async with aiohttp.ClientSession() as session:
        session.trace_configs.append(config)
        async with session.post(urls(), json=BODY) as answer:
            await answer.read()
        return [variable.get(), session.trace_configs[-1] is config]


@session_case
async def raised_status(urls, session):
    try:
        async with session.post(urls(status=500), json=BODY, raise_for_status=True):
            pass
    except aiohttp.ClientResponseError as error:
        return [error.status, error.message]


@session_case
async def no_llm(urls, session):
    async with session.post(urls("/data"), json=BODY) as answer:
        return await answer.json()


if __name__ == "__main__":
    main()
