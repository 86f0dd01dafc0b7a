"""Tokens that open the page once, and the cookies that keep it open."""

from __future__ import annotations

import secrets
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie

COOKIE = "lupis_ui"
_TOKEN_BYTES = 32
_MAX_SESSIONS = 100
_MAX_PARTS = 8
_SEPARATOR = "."


class Sessions:
    """The tokens and the sessions of one server.

    A browser sends a cookie to all ports of a host. So the cookie holds the ids of the sessions of
    several servers, separated by dots, and each server knows its own.
    """

    def __init__(self, fixed_token: str | None = None) -> None:
        """Make an object without sessions.

        Args:
            fixed_token: a token that the user has chosen; it opens any number of sessions.
        """
        self._fixed_token = fixed_token
        self._tokens: dict[str, None] = {}
        self._ids: dict[str, None] = {}

    def make_token(self) -> str:
        """Return a token that opens a session: the fixed one, or a new one that works once."""
        if self._fixed_token is not None:
            return self._fixed_token
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._tokens[token] = None
        _drop_oldest(self._tokens)
        return token

    def is_key(self, text: str) -> bool:
        """Return whether a text is the fixed token."""
        return self._fixed_token is not None and _is_equal(text, self._fixed_token)

    def open_session(self, token: str, cookies: str) -> str | None:
        """Return the value of the cookie for a new session; None if the token is wrong or used.

        Args:
            token: the token.
            cookies: the header `Cookie` of the request.
        """
        if not self.is_key(token):
            known = next((known for known in self._tokens if _is_equal(token, known)), None)
            if known is None or self._tokens.pop(known, "") is not None:
                return None  # another request was faster
        session = secrets.token_urlsafe(_TOKEN_BYTES)
        self._ids[session] = None
        _drop_oldest(self._ids)
        return _SEPARATOR.join([*_read_ids(cookies), session][-_MAX_PARTS:])

    def find_session(self, cookies: str) -> str | None:
        """Return the id of the session that a header `Cookie` belongs to; None without one."""
        for part in _read_ids(cookies):
            for session in list(self._ids):
                if _is_equal(part, session):
                    return session
        return None


def _drop_oldest(entries: dict[str, None]) -> None:
    while len(entries) > _MAX_SESSIONS:
        entries.pop(next(iter(entries)), None)


def _read_ids(cookies: str) -> list[str]:
    try:
        morsel = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return []
    parts = morsel.value.split(_SEPARATOR) if morsel is not None else []
    return [part for part in parts if part.replace("-", "").replace("_", "").isalnum()]


def _is_equal(text: str, secret: str) -> bool:
    return compare_digest(text.encode("utf-8", "replace"), secret.encode("utf-8", "replace"))
