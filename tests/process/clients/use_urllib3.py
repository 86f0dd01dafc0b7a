"""Uses of urllib3."""

import gc

import urllib3
from cases import DATA, HEADERS, TIMEOUT, case, catch_failure, main, make_retries, type_name

pool = urllib3.PoolManager()


def post(url, **options):
    return pool.request("POST", url, body=DATA, headers=HEADERS, **options)


@case
def json_body(urls):
    answer = post(urls())
    return [answer.data.decode(), type_name(answer), answer.closed, answer.version]


@case
def stream_chunks(urls):
    answer = post(urls(form="stream", framing="chunked", pause=0.05), preload_content=False)
    chunks = [chunk.decode() for chunk in answer.stream(32)]
    answer.release_conn()
    return chunks


@case
def read_chunked(urls):
    answer = post(urls(form="stream", framing="chunked", trailer=1), preload_content=False)
    return [chunk.decode() for chunk in answer.read_chunked(decode_content=False)]


@case
def read_pieces(urls):
    answer = post(urls(form="stream"), preload_content=False)
    return [answer.read(50).decode(), answer.read(50).decode(), answer.read().decode()]


@case
def read1(urls):
    answer = post(urls(form="stream", framing="chunked"), preload_content=False)
    body = b""
    while not answer.closed:
        data = getattr(answer, "read1", answer.read)(20)  # new in 2.0
        if not data:
            break
        body += data
    return body.decode()


@case
def readinto(urls):
    answer = post(urls(form="stream"), preload_content=False)
    buffer = bytearray(64)
    pieces = []
    while True:
        count = answer.readinto(buffer)
        if not count:
            return pieces
        pieces.append(buffer[:count].decode())


@case
def iterated(urls):
    return [line.decode() for line in post(urls(form="stream"), preload_content=False)]


@case
def until_close(urls):
    return post(urls(framing="close")).data.decode()


@case
def gzipped(urls):
    return post(urls(gzip=1)).data.decode()


@case
def gzipped_stream(urls):
    answer = post(urls(form="stream", framing="chunked", gzip=1), preload_content=False)
    return b"".join(answer.stream(16, decode_content=True)).decode()


@case
def early_close(urls):
    answer = post(urls(form="stream", framing="chunked", pause=0.02), preload_content=False)
    first = next(answer.stream(16)).decode()
    answer.close()
    return first


@case
def drained(urls):
    answer = post(urls(form="stream", framing="chunked"), preload_content=False)
    getattr(answer, "drain_conn", answer.read)()  # new in 1.26
    return answer.closed


@case
def dropped(urls):
    answer = post(urls(form="stream", framing="chunked"), preload_content=False)
    status = answer.status
    del answer
    gc.collect()
    return status


@case
def cut(urls):
    return catch_failure(post, urls(cut=1), retries=False)


@case
def cut_chunked(urls):
    return catch_failure(post, urls(form="stream", framing="chunked", cut=1), retries=False)


@case
def timed_out(urls):
    return catch_failure(post, urls(hang=1), timeout=TIMEOUT, retries=False)


@case
def refused(urls):
    url = "http://127.0.0.1:9/v1/chat/completions?case=refused"
    return catch_failure(post, url, retries=False)


@case
def head(urls):
    answer = pool.request("HEAD", urls(framing="chunked"))
    return [answer.status, answer.data.decode()]


@case
def nothing(urls):
    answer = post(urls(status=204), preload_content=False)
    return [answer.status, answer.read().decode(), answer.closed]


@case
def redirect(urls):
    answer = post(urls(redirect=1))
    return answer.data.decode()


@case
def retried(urls):
    retries = make_retries(3)
    answer = post(urls(busy=2), retries=retries)
    return [answer.data.decode(), len(answer.retries.history)]


@case
def out_of_retries(urls):
    retries = make_retries(1)
    return catch_failure(post, urls(busy=9), retries=retries)


@case
def kept_alive(urls):
    fresh = urllib3.PoolManager()
    numbers = set()
    for _ in range(3):
        answer = fresh.request("POST", urls(), body=DATA, headers=HEADERS)
        numbers.add(answer.headers["x-connection"])
    return len(numbers)


@case
def no_llm(urls):
    return post(urls("/data")).data.decode()


if __name__ == "__main__":
    main()
