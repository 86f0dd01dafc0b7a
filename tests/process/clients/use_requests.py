"""Uses of requests."""

import gc
import threading

import requests
from cases import BODY, TIMEOUT, case, catch_failure, main, make_retries, type_name
from requests.adapters import HTTPAdapter

session = requests.Session()
session.trust_env = False


def post(url, **options):
    return session.post(url, json=BODY, **options)


@case
def json_body(urls):
    answer = post(urls())
    return [answer.json(), type_name(answer), type_name(answer.raw), answer.raw.closed]


@case
def stream_lines(urls):
    with post(urls(form="stream", framing="chunked"), stream=True) as answer:
        return list(answer.iter_lines(decode_unicode=True))


@case
def stream_content(urls):
    with post(urls(form="stream", framing="chunked", pause=0.05), stream=True) as answer:
        return [chunk.decode() for chunk in answer.iter_content(None)]


@case
def stream_length(urls):
    with post(urls(form="stream"), stream=True) as answer:
        return b"".join(answer.iter_content(7)).decode()


@case
def stream_until_close(urls):
    with post(urls(form="stream", framing="close"), stream=True) as answer:
        return b"".join(answer.iter_content(64)).decode()


@case
def gzipped(urls):
    return post(urls(gzip=1, framing="chunked")).json()


@case
def raw_types(urls):
    with post(urls(form="stream", framing="chunked"), stream=True) as answer:
        raw = answer.raw
        return [
            type_name(raw),
            type_name(raw._original_response),
            raw.isclosed(),
            raw.read().decode(),
            raw.closed,
        ]


@case
def early_break(urls):
    with post(urls(form="stream", framing="chunked", pause=0.02), stream=True) as answer:
        return next(answer.iter_lines()).decode()


@case
def dropped(urls):
    answer = post(urls(form="stream", framing="chunked"), stream=True)
    status = answer.status_code
    del answer
    gc.collect()
    return status


@case
def cut(urls):
    return catch_failure(post, urls(cut=1))


@case
def cut_chunked(urls):
    return catch_failure(post, urls(form="stream", framing="chunked", cut=1))


@case
def garbled(urls):
    return catch_failure(post, urls(form="stream", framing="chunked", garbled=1))


@case
def timed_out(urls):
    return catch_failure(post, urls(hang=1), timeout=TIMEOUT)


@case
def refused(urls):
    return catch_failure(post, "http://127.0.0.1:9/v1/chat/completions?case=refused")


@case
def hung_up(urls):
    return catch_failure(post, urls(drop=1))


@case
def head(urls):
    answer = session.head(urls())
    return [answer.status_code, answer.content.decode(), dict(answer.headers)["content-type"]]


@case
def nothing(urls):
    answer = post(urls(status=204))
    return [answer.status_code, answer.content.decode()]


@case
def empty(urls):
    answer = post(urls(form="empty"))
    return [answer.status_code, answer.content.decode()]


@case
def redirect(urls):
    answer = post(urls(redirect=1))
    return [answer.json(), [response.status_code for response in answer.history]]


@case
def retried(urls):
    with requests.Session() as retrying:
        retries = make_retries(3)
        retrying.mount("http://", HTTPAdapter(max_retries=retries))
        answer = retrying.post(urls(busy=2), json=BODY)
        return [answer.json(), len(answer.raw.retries.history)]


@case
def kept_alive(urls):
    with requests.Session() as fresh:
        url = urls(form="stream", framing="chunked")
        numbers = [fresh.post(url, json=BODY).headers["x-connection"] for _ in range(3)]
    return len(set(numbers))


@case
def threads(urls):
    answers = []
    workers = [
        threading.Thread(target=lambda: answers.append(post(urls()).json())) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return answers


@case
def no_llm(urls):
    return post(urls("/data", pause=0.03)).json()


@case
def prepared(urls):
    request = session.prepare_request(requests.Request("POST", urls(), json=BODY))
    return session.send(request).json()


@case
def failed_status(urls):
    return catch_failure(post(urls(status=500)).raise_for_status)


if __name__ == "__main__":
    main()
