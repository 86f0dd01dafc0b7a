"""Attacks on the server of `lupis ui`."""

import pytest
from servers.viewer import serve

PAGES = ("/", "/api/calls", "/api/stream", "/static/app.js", "/runs")


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_shown_without_a_session(stranger, path):
    """The answer says how to open the page."""
    answer = stranger.get(path)
    assert 401 == answer.status
    assert b"lupis ui" in answer.body


def test_health_needs_no_session(stranger):
    """`lupis-run` asks for the name before it sends anything."""
    assert {"name", "version"} == set(stranger.get("/api/health").json)


def test_token_works_once(stranger):
    """The printed line stays in the terminal's history."""
    token = stranger.server.viewer.sessions.make_token()
    assert 303 == stranger.open(token).status
    stranger.cookie = None
    assert 401 == stranger.open(token).status


def test_used_token_leads_an_open_browser_to_the_page(browser):
    """The user clicks on the printed line again."""
    answer = browser.get("/?token=used")
    assert (303, "/") == (answer.status, answer.headers["Location"])


@pytest.mark.parametrize("token", ["", "x", "%00", "a" * 5000, "%F0%9F%90%BA"])
def test_wrong_tokens_open_nothing(stranger, token):
    """Any text may be a token."""
    answer = stranger.get(f"/?token={token}")
    assert 401 == answer.status
    assert answer.headers["Set-Cookie"] is None


def test_cookie_is_out_of_reach_for_scripts_and_other_sites(stranger):
    """A page of another site cannot use the session."""
    cookie = stranger.open().headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {*cookie.split("; ")}


@pytest.mark.parametrize("cookie", ["lupis_ui=", "lupis_ui=x.y.z", 'lupis_ui="', "a=b; =;", "[]"])
def test_made_up_cookies_open_nothing(stranger, cookie):
    """Neither do damaged ones."""
    assert 401 == stranger.get("/api/calls", Cookie=cookie).status


def test_two_viewers_keep_their_sessions_apart(store, stranger):
    """A browser sends a cookie to all ports of a host."""
    with serve(store.file) as other:
        stranger.open()
        other.cookie = stranger.cookie
        assert 401 == other.get("/api/calls").status
        other.open()
        stranger.cookie = other.cookie
        assert 200 == stranger.get("/api/calls").status


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:9009", "127.0.0.1.evil.example", "localhost@evil.example", "0",
     "192.168.0.7:9009", "localhost/evil", "localhost:x"],
)  # fmt: skip
def test_foreign_hosts_are_refused(browser, host):
    """DNS rebinding leads a foreign name to this server."""
    assert 421 == browser.get("/api/calls", Host=host).status
    assert 421 == browser.get("/api/health", Host=host).status


@pytest.mark.parametrize("host", ["localhost:9009", "127.0.0.1", "[::1]:9009", "LOCALHOST"])
def test_names_of_this_machine_are_known(browser, host):
    """`ssh -L` may use another port."""
    assert 200 == browser.get("/api/calls", Host=host).status


def test_request_needs_a_host(browser):
    """HTTP/1.0 knows none."""
    assert b" 421 " in browser.send_raw(b"GET /api/health HTTP/1.0\r\n\r\n").split(b"\r\n")[0]


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:3000"},
     {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/traces", "/api/events"])
def test_requests_of_foreign_pages_are_refused(browser, headers, path):
    """A page can send a form to any address."""
    assert 403 == browser.request("POST", path, b"{}", **headers).status


def test_no_answer_allows_other_origins(browser):
    """There is no CORS."""
    answers = [browser.get("/api/calls"), browser.request("OPTIONS", "/v1/traces")]
    names = {name.lower() for answer in answers for name in answer.headers}
    assert not {name for name in names if name.startswith("access-control")}
    assert [200, 405] == [answer.status for answer in answers]


@pytest.mark.parametrize("path", ["/", "/api/calls", "/api/health", "/api/nothing", "/static/x"])
def test_every_answer_has_the_policy(browser, path):
    """Also the answers about errors."""
    headers = browser.get(path).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert ("nosniff", "DENY") == (headers["X-Content-Type-Options"], headers["X-Frame-Options"])


@pytest.mark.parametrize(
    "path",
    ["/static/../session.py", "/static/..%2fsession.py", "/static/%2e%2e/%2e%2e/session.py",
     "/../../etc/passwd", "/static//etc/passwd", "/static/..\\session.py", "/static/\0",
     "/runs/../../session.py", "/static/__init__.py", "/%2e%2e/session.py"],
)  # fmt: skip
def test_no_path_leaves_the_folder_of_the_page(browser, path):
    """Files are looked up in a table."""
    line = f"GET {path} HTTP/1.1\r\nHost: {browser.host}\r\nCookie: {browser.cookie}\r\n"
    answer = browser.send_raw(f"{line}Connection: close\r\n\r\n".encode("latin-1"))
    assert answer.split(b" ")[1] in (b"400", b"404")
    assert b"import" not in answer


@pytest.mark.parametrize(
    "path", ["/?token=a%0d%0aX-Evil:%201", "/api/calls?q=%0d%0aX-Evil:1", "/a%0d%0aX-Evil:1"]
)
def test_no_text_of_a_request_becomes_a_header(browser, path):
    """Line ends would begin a new header."""
    assert browser.get(path).headers["X-Evil"] is None


def test_huge_heads_are_refused(browser):
    """A hundred lines of 64 KB would fit into the limits of the standard library."""
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 30_000) for number in range(5))
    answer = browser.send_raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n")
    assert b"431" == answer.split(b" ")[1]


@pytest.mark.parametrize(
    "head",
    [b"Host: localhost\r\nHost: evil.example\r\n", b"Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
     b"Host: localhost\r\nContent-Length: -1\r\n", b"Host: localhost\r\nContent-Length: 1e3\r\n",
     b"Host: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
     b"Host: localhost\r\nTransfer-Encoding: gzip, chunked\r\n"],
)  # fmt: skip
def test_ambiguous_requests_are_refused(store, head):
    """Two readers could find different ends in them."""
    with serve(store.file, receiver=FakeReceiver()) as browser:
        answer = browser.send_raw(b"POST /v1/traces HTTP/1.1\r\n" + head + b"\r\n0\r\n\r\n")
    assert b"400" == answer.split(b" ")[1]
    assert 1 == answer.count(b"HTTP/1.1 ")


class FakeReceiver:
    """Keeps nothing."""

    def receive(self, path, headers, body):
        raise AssertionError("the body was read")

    def close(self):
        pass


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"])
def test_other_methods_are_refused(browser, method):
    """The server changes nothing on demand."""
    answer = browser.request(method, "/api/calls")
    assert 405 == answer.status
    assert "GET" in answer.headers["Allow"]


def test_pages_take_no_posts(browser):
    """Only the receiver does."""
    assert 405 == browser.request("POST", "/api/calls", b"{}").status


def test_body_of_a_refused_request_is_no_next_request(browser):
    """The connection ends with the answer."""
    inner = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    assert 1 == browser.send_raw(head % len(inner) + inner).count(b"HTTP/1.1 ")


XSS = "<script>alert(1)</script>&\u2028'\""


def test_texts_of_programs_arrive_as_json_text(store, browser):
    """No answer has a character that HTML could take for a tag."""
    store.call(XSS, chat=XSS, error=XSS, **{"user.id": XSS})
    answer = browser.get("/api/calls")
    assert b"<" not in answer.body
    assert "application/json" == answer.headers["Content-Type"]
    (call,) = answer.json["calls"]
    assert {XSS} == {call["model"], call["chat"], call["error"], call["user"]}


def test_errors_quote_requests_as_json_text_too(browser):
    """A filter that is not valid comes back in the message."""
    answer = browser.get("/api/calls?q=x%3A%3Cscript%3E")
    assert 400 == answer.status
    assert b"<" not in answer.body


def test_question_cannot_change_the_store(store, browser):
    """The connections only read."""
    store.call("a")
    for text in ("'; DROP TABLE item; --", "model:'; DELETE FROM item; --"):
        from urllib.parse import quote

        browser.get(f"/api/calls?q={quote(text)}")
    assert 1 == browser.ask("/api/summary")["calls"]


def test_address_for_others_takes_local_names_only(store):
    """A container has an address or a name without a dot; a foreign site has a dot."""
    with serve(store.file, host="0.0.0.0", token="a-fixed-token-of-mine") as browser:
        browser.open("a-fixed-token-of-mine")
        hosts = ("10.1.2.3:9009", "lupis:9009", "localhost", "evil.example")
        statuses = [browser.get("/api/calls", Host=host).status for host in hosts]
    assert [200, 200, 200, 421] == statuses


def test_fixed_token_opens_many_sessions(store):
    """It may stand in the file of a container."""
    with serve(store.file, token="a-fixed-token-of-mine") as browser:
        for _ in range(2):
            browser.cookie = None
            assert 303 == browser.open("a-fixed-token-of-mine").status
        assert 401 == browser.get("/?token=another", Cookie="").status
