"""Uses of http.client."""

import gc
import http.client
import io
from urllib.parse import urlsplit

from cases import BASE, DATA, HEADERS, TIMEOUT, case, catch_failure, main, type_name


def connect(**options):
    return http.client.HTTPConnection(urlsplit(BASE).netloc, timeout=60, **options)


def post(url, connection=None):
    connection = connection or connect()
    connection.request("POST", url[len(BASE) :], DATA, HEADERS)
    return connection.getresponse()


@case
def json_body(urls):
    answer = post(urls())
    return [
        answer.read().decode(),
        type_name(answer),
        answer.isclosed(),
        answer.version,
        answer.closed,
    ]


@case
def chunked(urls):
    answer = post(urls(form="stream", framing="chunked", pause=0.05))
    return [answer.read().decode(), answer.isclosed(), answer.chunked]


@case
def trailer(urls):
    return post(urls(form="stream", framing="chunked", trailer=1)).read().decode()


@case
def until_close(urls):
    return post(urls(form="stream", framing="close")).read().decode()


@case
def until_close_pieces(urls):
    answer = post(urls(form="stream", framing="close"))
    return [piece.decode() for piece in iter(lambda: answer.read(40), b"")]


@case
def readline_length(urls):
    answer = post(urls(form="stream"))
    return [line.decode() for line in iter(answer.readline, b"")]


@case
def readline_chunked(urls):
    answer = post(urls(form="stream", framing="chunked"))
    return [line.decode() for line in iter(answer.readline, b"")]


@case
def readline_until_close(urls):
    answer = post(urls(form="stream", framing="close"))
    return [line.decode() for line in iter(answer.readline, b"")]


@case
def iterated(urls):
    with post(urls(form="stream", framing="chunked")) as answer:
        return [line.decode() for line in answer]


@case
def pieces(urls):
    answer = post(urls())
    return [piece.decode() for piece in iter(lambda: answer.read(17), b"")]


@case
def read1(urls):
    answer = post(urls(form="stream", framing="chunked"))
    return b"".join(iter(answer.read1, b"")).decode()


@case
def read1_length(urls):
    answer = post(urls(form="stream"))
    return b"".join(iter(lambda: answer.read1(30), b"")).decode()


@case
def peeked(urls):
    answer = post(urls(form="stream", framing="chunked"))
    first = answer.peek(1)[:1]
    return [first.decode(), answer.read().decode()]


@case
def peeked_length(urls):
    answer = post(urls(form="stream"))
    first = answer.peek()[:4]
    return [first.decode(), answer.read().decode()]


def read_into_buffer(answer):
    buffer = bytearray(33)
    body = b""
    while True:
        count = answer.readinto(buffer)
        if not count:
            return body.decode()
        body += buffer[:count]


@case
def readinto(urls):
    return read_into_buffer(post(urls(form="stream")))


@case
def readinto_chunked(urls):
    return read_into_buffer(post(urls(form="stream", framing="chunked")))


@case
def buffered(urls):
    return io.BufferedReader(post(urls())).read().decode()


@case
def text(urls):
    return io.TextIOWrapper(post(urls(form="stream", framing="chunked")), "utf-8").readlines()


@case
def file_number(urls):
    answer = post(urls())
    number = answer.fileno()
    answer.read()
    return number > 2


@case
def early_close(urls):
    with post(urls(form="stream", framing="chunked", pause=0.02)) as answer:
        return answer.readline().decode()


@case
def connection_closed(urls):
    connection = connect()
    answer = post(urls(), connection)
    connection.close()
    return [answer.isclosed(), catch_failure(answer.read)]


@case
def dropped(urls):
    status = post(urls(form="stream", framing="chunked")).status
    gc.collect()
    return status


@case
def cut(urls):
    answer = post(urls(cut=1))
    return catch_failure(answer.read)


@case
def cut_pieces(urls):
    answer = post(urls(cut=1))
    return [piece.decode() for piece in iter(lambda: answer.read(17), b"")]


@case
def cut_chunked(urls):
    answer = post(urls(form="stream", framing="chunked", cut=1))
    return catch_failure(answer.read)


@case
def cut_readinto(urls):
    return catch_failure(read_into_buffer, post(urls(form="stream", framing="chunked", cut=1)))


@case
def garbled(urls):
    return catch_failure(post(urls(form="stream", framing="chunked", garbled=1)).read)


@case
def timed_out(urls):
    connection = connect()
    connection.timeout = TIMEOUT
    return catch_failure(post(urls(hang=1), connection).read)


@case
def refused(urls):
    connection = http.client.HTTPConnection("127.0.0.1", 9)
    return catch_failure(connection.request, "POST", "/v1/chat/completions?case=refused", DATA)


@case
def hung_up(urls):
    return catch_failure(post, urls(drop=1))


@case
def head(urls):
    connection = connect()
    connection.request("HEAD", urls()[len(BASE) :])
    answer = connection.getresponse()
    return [answer.status, answer.read().decode(), answer.isclosed()]


@case
def nothing(urls):
    answer = post(urls(status=204))
    return [answer.status, answer.read().decode(), answer.isclosed()]


@case
def empty(urls):
    answer = post(urls(form="empty"))
    return [answer.status, answer.read().decode(), answer.isclosed()]


@case
def kept_alive(urls):
    connection = connect()
    numbers = set()
    for _ in range(3):
        answer = post(urls(form="stream", framing="chunked"), connection)
        answer.read()
        numbers.add(answer.getheader("x-connection"))
    return len(numbers)


@case
def by_hand(urls):
    connection = connect()
    connection.putrequest("POST", urls()[len(BASE) :])
    connection.putheader("content-length", str(len(DATA)))
    connection.endheaders()
    connection.send(DATA[:10])
    connection.send(DATA[10:])
    return connection.getresponse().read().decode()


@case
def too_early(urls):
    connection = connect()
    connection.putrequest("POST", urls()[len(BASE) :])
    return catch_failure(connection.getresponse)


@case
def refused_first(urls):
    """urllib3 1.x passes an argument of Python 2 first."""
    connection = connect()
    connection.request("POST", urls()[len(BASE) :], DATA, HEADERS)
    refusal = catch_failure(connection.getresponse, buffering=True)
    return [refusal, connection.getresponse().read().decode()]


@case
def answer_unread(urls):
    connection = connect()
    first = post(urls(), connection)
    connection.request("POST", urls()[len(BASE) :], DATA, HEADERS)
    refusal = catch_failure(connection.getresponse)
    connection.close()
    return [refusal, first.read().decode()]


@case
def no_llm(urls):
    return post(urls("/data")).read().decode()


if __name__ == "__main__":
    main()
