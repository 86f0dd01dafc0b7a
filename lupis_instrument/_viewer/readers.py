"""Reads the store for the threads of the server, and keeps answers until the store changes."""

from __future__ import annotations

import json
from collections import OrderedDict
from contextlib import ExitStack, contextmanager
from math import isfinite
from threading import BoundedSemaphore, Lock, RLock
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, Iterator, NamedTuple, Tuple

from lupis_instrument._query.store_reader import StoreUnreadableError, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from lupis_instrument._query.store_reader import OpenStore

MAX_QUESTIONS = 16
"""Questions that are answered at the same time."""
_CACHE_KIB = 256
"""The cache of a connection. A page has two or more, and SQLite's own 2 MiB would add up."""
_MAX_SECONDS = 30.0
_STEPS_BETWEEN_CHECKS = 100_000
_WAIT_SECONDS = 10.0
_MAX_CACHED_BYTES = 8 << 20
_MAX_AGE_SECONDS = 10.0
_MAX_STALE_SECONDS = 2.0
_SLOW_SECONDS = 0.05
_STALE_FACTOR = 4.0

Stamp = Tuple[Any, ...]
"""Sizes and times of the store's files; another stamp after each change."""


class TooBusyError(Exception):
    """Too many questions wait already, or a question takes too long."""


class StoreReader:
    """The connection of one thread; opened with the first question."""

    def __init__(self, path: Path | None) -> None:
        """Make a reader.

        Args:
            path: the path of the store; None without a data folder.
        """
        self._path = path
        self._stack = ExitStack()
        self._store: OpenStore | None = None
        self._due = 0.0

    @contextmanager
    def use_store(self) -> Iterator[OpenStore]:
        """Give the open store to the `with` block, for one question.

        Raises:
            StoreUnreadableError: the file cannot be read.
            TooBusyError: the question takes too long.
        """
        if self._store is not None and not self._store.is_current:
            self.close()  # the store did not exist yet, or was set aside as damaged
        store = self._store or self._open_store()
        self._due = monotonic() + _MAX_SECONDS
        try:
            yield store
        except Exception as error:
            self.close()
            if monotonic() > self._due:
                raise TooBusyError("the question takes too long") from error
            if type(error).__module__ == "sqlite3":
                raise StoreUnreadableError(f"the store can't be read: {error}") from error
            raise

    def close(self) -> None:
        """Close the store; the next question opens it again."""
        self._store = None
        self._stack.close()

    def _open_store(self) -> OpenStore:
        store = self._stack.enter_context(open_store(self._path))
        store.db.execute("PRAGMA query_only = ON")
        store.db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        store.db.set_progress_handler(lambda: monotonic() > self._due, _STEPS_BETWEEN_CHECKS)
        self._store = store
        return store


def read_stamp(path: Path | None) -> Stamp:
    """Return the stamp of the store now."""
    if path is None:
        return ()
    return tuple(map(_read_state, (path, path.with_name(f"{path.name}-wal"))))


def _read_state(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


class _Answer(NamedTuple):
    """An answer in the cache.

    Attributes:
        body: the answer as JSON.
        stamp: the stamp of the store before the question.
        made: the time of the answer, by `monotonic`.
        seconds: the time that the answer took.
    """

    body: bytes
    stamp: Stamp
    made: float
    seconds: float

    def is_valid(self, stamp: Stamp) -> bool:
        """Return whether the answer holds: the store is the same, or has just changed.

        An answer that takes long holds for longer, so that many open pages do not keep the
        processor busy while a program records.
        """
        age = monotonic() - self.made
        is_slow = self.seconds > _SLOW_SECONDS
        fresh = min(self.seconds * _STALE_FACTOR, _MAX_STALE_SECONDS) if is_slow else 0.0
        return age < (_MAX_AGE_SECONDS if stamp == self.stamp else fresh)


class AnswerCache:
    """Keeps the answers of questions; equal questions at the same time are asked once."""

    def __init__(self, path: Path | None) -> None:
        """Make an empty cache.

        Args:
            path: the path of the store.
        """
        self._path = path
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._size = 0
        self._lock = Lock()
        self._pending: dict[str, tuple[Any, int]] = {}
        self._slots = BoundedSemaphore(MAX_QUESTIONS)

    def find_answer(self, key: str, ask: Callable[[], Any]) -> bytes:
        """Return the answer of a question as JSON.

        Args:
            key: the question.
            ask: asks the store.

        Raises:
            TooBusyError: too many questions wait already.
        """
        with self._only_asker(key):
            stamp = read_stamp(self._path)
            known = self._answers.get(key)
            if known is not None and known.is_valid(stamp):
                return known.body
            if not self._slots.acquire(timeout=_WAIT_SECONDS):
                raise TooBusyError("too many questions at once")
            try:
                start = monotonic()
                body = encode_json(ask())
                answer = _Answer(body, stamp, monotonic(), monotonic() - start)
            finally:
                self._slots.release()
            self._keep_answer(key, answer)
            return body

    @contextmanager
    def _only_asker(self, key: str) -> Iterator[None]:
        """Let one thread at a time ask a question."""
        with self._lock:
            lock, users = self._pending.get(key, (None, 0))
            lock = lock or RLock()
            self._pending[key] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                _, users = self._pending[key]
                if users == 1:
                    del self._pending[key]
                else:
                    self._pending[key] = lock, users - 1

    def _keep_answer(self, key: str, answer: _Answer) -> None:
        with self._lock:
            old = self._answers.pop(key, None)
            self._size += len(answer.body) - (len(old.body) if old is not None else 0)
            self._answers[key] = answer
            while self._size > _MAX_CACHED_BYTES:
                _, dropped = self._answers.popitem(last=False)
                self._size -= len(dropped.body)


def encode_json(data: Any) -> bytes:
    """Return data as JSON in ASCII, without characters that HTML could take for a tag."""
    try:
        text = json.dumps(data, separators=(",", ":"), allow_nan=False, default=str)
    except ValueError:  # a sum that is too large for a float
        text = json.dumps(_remove_infinite(data), separators=(",", ":"), default=str)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode("ascii")


def _remove_infinite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _remove_infinite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_remove_infinite(value) for value in data]
    return None if isinstance(data, float) and not isfinite(data) else data
