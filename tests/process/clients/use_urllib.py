"""Uses of urllib.request."""

import gc
import shutil
import tempfile
import urllib.request

from cases import DATA, HEADERS, TIMEOUT, case, catch_failure, main, type_name


def post(url, **options):
    return urllib.request.urlopen(urllib.request.Request(url, DATA, HEADERS), **options)


@case
def json_body(urls):
    with post(urls()) as answer:
        return [
            answer.read().decode(),
            type_name(answer),
            type_name(answer.headers),
            answer.url == urls(),
        ]


@case
def stream_lines(urls):
    with post(urls(form="stream", framing="chunked", pause=0.05)) as answer:
        return [line.decode() for line in answer]


@case
def copied(urls):
    with post(urls(framing="chunked")) as answer, tempfile.TemporaryFile() as file:
        shutil.copyfileobj(answer, file)
        file.seek(0)
        return file.read().decode()


@case
def early_close(urls):
    with post(urls(form="stream", framing="chunked", pause=0.02)) as answer:
        return answer.readline().decode()


@case
def dropped(urls):
    status = post(urls(form="stream", framing="chunked")).status
    gc.collect()
    return status


@case
def cut(urls):
    return catch_failure(post(urls(cut=1)).read)


@case
def timed_out(urls):
    return catch_failure(post(urls(hang=1), timeout=TIMEOUT).read)


@case
def refused(urls):
    return catch_failure(post, "http://127.0.0.1:9/v1/chat/completions?case=refused")


@case
def failed_status(urls):
    try:
        post(urls(status=500))
    except urllib.request.HTTPError as error:
        with error:
            return [error.code, type_name(error.fp), error.read().decode()]


@case
def nothing(urls):
    with post(urls(status=204)) as answer:
        return [answer.status, answer.read().decode()]


@case
def no_llm(urls):
    with post(urls("/data")) as answer:
        return answer.read().decode()


if __name__ == "__main__":
    main()
