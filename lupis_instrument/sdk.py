"""`LupisSDK`, the optional in-code API: events, chat ids, user metadata and own spans."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Iterator, Mapping, TypeVar, overload

from lupis_instrument._diagnostics import guarded
from lupis_instrument._process.fork import on_fork
from lupis_instrument._runtime import bootstrap as _bootstrap
from lupis_instrument._tracing import context as _context
from lupis_instrument._tracing.context import EMPTY, Conversation
from lupis_instrument.exceptions import LupisConfigError, LupisUsageError

if TYPE_CHECKING:
    from types import ModuleType
    from typing import ContextManager

    from opentelemetry.trace import Span, Tracer

    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._runtime.runtime import Runtime

Result = TypeVar("Result")


@dataclass(frozen=True)
class LupisMetadata:
    """Whose work something is; put on spans and events.

    Attributes:
        user_id: who.
        organization_id: for whom.
        session_id: outlives conversations, a browser session for example.
        chat_id: one conversation.
        extra: whatever else is worth seeing again; values JSON can hold.
    """

    user_id: str | None = None
    organization_id: str | None = None
    session_id: str | None = None
    chat_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LupisBlockOptions:
    """How `LupisSDK.run` runs a piece of work.

    Attributes:
        chat_id: the conversation it belongs to.
        name: if given, the work is a span of this name.
        metadata: in force for the work alone, over what is in force around it.
        capture_http: whether its HTTP calls are recorded.
    """

    chat_id: str | None = None
    name: str | None = None
    metadata: LupisMetadata | None = None
    capture_http: bool = True


class LupisSDK:
    """What an application may add to what `lupis-run` shows by itself.

    There is one instance a process: `LupisSDK.get_instance()` under `lupis-run`, or the one that
    `LupisSDK.init(config)` makes.
    """

    _instance: LupisSDK | None = None
    _lock = Lock()

    def __init__(self) -> None:
        raise LupisUsageError("call LupisSDK.init(config) or LupisSDK.get_instance()")

    @classmethod
    def init(cls, config: LupisConfig) -> LupisSDK:
        """Configure and instrument this process; works without `lupis-run`.

        Args:
            config: the settings. Under `lupis-run` they fill what no option or variable set.

        Returns:
            The instance; a second call returns the first one's.

        Raises:
            LupisConfigError: `config` is no `LupisConfig`.
        """
        _bootstrap.load_runtime()
        from lupis_instrument._config.config import LupisConfig as Config
        from lupis_instrument._runtime import runtime as _runtime

        if not isinstance(config, Config):
            raise LupisConfigError(f"expected a LupisConfig, got {type(config).__name__}")
        instance = cls._make()
        with cls._lock:
            if _runtime.start(config) is not None:
                _bootstrap.watch()
        return instance

    @classmethod
    def get_instance(cls) -> LupisSDK | None:
        """Return the instance, or None in a program neither launched nor initialised."""
        if cls._instance is None and _bootstrap.launched():
            return cls._make()
        return cls._instance

    @classmethod
    def _renew_lock(cls) -> None:
        cls._lock = Lock()  # another thread of the parent may have held it

    @classmethod
    def _make(cls) -> LupisSDK:
        with cls._lock:
            if cls._instance is None:
                cls._instance = object.__new__(cls)
            return cls._instance

    @staticmethod
    def _runtime() -> Runtime | None:
        runtime: Runtime | None = _loaded().start()
        return runtime

    def is_enabled(self) -> bool:
        """Tell whether calls are recorded."""
        return self._runtime() is not None

    # Events

    def track_event(
        self,
        name: str,
        properties: Mapping[str, Any] | None = None,
        metadata: LupisMetadata | None = None,
    ) -> None:
        """Queue an event; from any thread, in sync code as in a running event loop.

        Args:
            name: of the event.
            properties: what to tell about it. A value that JSON cannot hold is replaced with a
                readable marker.
            metadata: laid over the metadata in force, field by field.
        """
        guarded("tracking an event", self._track_event, name, properties, metadata)

    def _track_event(
        self, name: str, properties: Mapping[str, Any] | None, metadata: LupisMetadata | None
    ) -> None:
        runtime = self._runtime()
        if runtime is None:
            return
        conversation = _context.current_conversation()
        if metadata is not None:
            conversation = _conversation(metadata).with_defaults(conversation)
        runtime.track(name, properties, conversation)

    # Conversations and metadata

    def set_chat_id(self, chat_id: str) -> None:
        """Set the chat id of all later spans and events of this process and of its children."""
        self._runtime()  # so that processes started from now on take it along
        _context.process_values.set_layers(chat=Conversation(chat_id=_text(chat_id)))

    def clear_chat_id(self) -> None:
        """Undo `set_chat_id`."""
        _context.process_values.set_layers(chat=EMPTY)

    def set_metadata(self, metadata: LupisMetadata) -> None:
        """Set the user context of all later spans and events of this process.

        Processes that it starts from now on have the ids, too, but not `extra`.
        """
        self._runtime()
        _context.process_values.set_layers(metadata=_conversation(metadata))

    def get_metadata(self) -> LupisMetadata:
        """Return what `set_metadata` set."""
        found = _context.process_values.metadata
        return LupisMetadata(
            found.user_id,
            found.organization_id,
            found.session_id,
            found.chat_id,
            dict(found.extra),
        )

    def clear_metadata(self) -> None:
        """Undo `set_metadata`."""
        _context.process_values.set_layers(metadata=EMPTY)

    @contextmanager
    def conversation(
        self,
        chat_id: str | None,
        metadata: LupisMetadata | None = None,
        *,
        name: str | None = None,
        capture_http: bool = True,
    ) -> Iterator[None]:
        """Have a chat id and metadata in force inside the `with` block.

        Args:
            chat_id: the conversation.
            metadata: laid over what is in force outside.
            name: if given, the block is a span of this name.
            capture_http: whether HTTP calls of the block are recorded.
        """
        options = LupisBlockOptions(chat_id, name, metadata, capture_http)
        self._runtime()  # so that threads and processes started inside take it along
        with _context.use_conversation(_narrower(options)):
            if name is None:
                yield
            else:
                with self.create_span(name):
                    yield

    @overload
    async def run(
        self, fn: Callable[[], Awaitable[Result]], options: LupisBlockOptions | None = None
    ) -> Result: ...

    @overload
    async def run(
        self, fn: Callable[[], Result], options: LupisBlockOptions | None = None
    ) -> Result: ...

    @overload
    async def run(
        self, fn: Awaitable[Result], options: LupisBlockOptions | None = None
    ) -> Result: ...

    async def run(self, fn: Any, options: LupisBlockOptions | None = None) -> Any:
        """Run `fn` with a chat id and metadata in force for it alone.

        Args:
            fn: a function or coroutine function without parameters, or an awaitable.
            options: what is in force.

        Returns:
            What `fn` returns.

        Raises:
            LupisUsageError: `fn` is nothing that can be run.
        """
        options = options or LupisBlockOptions()
        with self._block(options):
            result = _call(fn)
            return await result if inspect.isawaitable(result) else result

    def run_sync(
        self, fn: Callable[[], Result], options: LupisBlockOptions | None = None
    ) -> Result:
        """Do what `run` does, for code without an event loop.

        Raises:
            LupisUsageError: `fn` is nothing that can be called, or makes a coroutine, which only
                `run` can wait for.
        """
        if inspect.iscoroutinefunction(fn) or inspect.isawaitable(fn):
            _give_up(fn)
            raise LupisUsageError(_CANNOT_AWAIT)
        with self._block(options or LupisBlockOptions()):
            result: Result = _call(fn)
            if inspect.iscoroutine(result):
                _give_up(result)
                raise LupisUsageError(_CANNOT_AWAIT)
            return result

    def _block(self, options: LupisBlockOptions) -> ContextManager[None]:
        return self.conversation(
            options.chat_id,
            options.metadata,
            name=options.name,
            capture_http=options.capture_http,
        )

    # Spans

    def get_tracer(self) -> Tracer:
        """Return the tracer whose spans go where ours go."""
        runtime = self._runtime()
        if runtime is None:
            from opentelemetry.trace import NoOpTracer

            return NoOpTracer()
        return runtime.tracer()

    @contextmanager
    def create_span(self, name: str, attributes: Mapping[str, Any] | None = None) -> Iterator[Span]:
        """Make a span that is current inside the `with` block.

        An exception that leaves the block is recorded on the span and raised on.
        """
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        # Not `start_as_current_span`: that logs an error where a generator with the block in it
        # is closed by another task or thread than it was begun by.
        span = self.get_tracer().start_span(
            name, attributes=dict(attributes) if attributes else None
        )
        try:
            with _context.use_context(set_span_in_context(span)):
                yield span
        except Exception as error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
            raise
        finally:
            span.end()

    # Delivery

    def flush(self, timeout: float = 3.0) -> bool:
        """Deliver what is pending now, and what waits for an endpoint that did not answer before.

        Args:
            timeout: seconds to wait at the most.

        Returns:
            Whether all of it arrived in time.
        """
        runtime = self._runtime()
        if runtime is None:
            return True
        return bool(guarded("delivering", runtime.flush, timeout, default=False))

    def shutdown_sync(self) -> None:
        """Deliver what is pending and stop; waits `shutdown_timeout` seconds at the most."""
        _bootstrap.load_runtime()
        from lupis_instrument._runtime import runtime as _runtime

        runtime = _runtime.get()
        if runtime is not None:
            guarded("ending", runtime.shutdown)

    async def shutdown(self) -> None:
        """Do what `shutdown_sync` does without blocking the event loop."""
        await asyncio.get_running_loop().run_in_executor(None, self.shutdown_sync)


@lru_cache(maxsize=None)
def _loaded() -> ModuleType:
    """Return the runtime's module; loading it takes a while, asking again does not."""
    _bootstrap.load_runtime()
    from lupis_instrument._runtime import runtime as _runtime

    return _runtime


_CANNOT_AWAIT = "run_sync cannot await: use `await sdk.run(...)`"


_ITERATED = (
    "a generator's body runs where it is iterated, outside the conversation: iterate inside the"
    " function given to run, or use `with sdk.conversation(...)` around the loop"
)


def _call(fn: Any) -> Any:
    if inspect.isawaitable(fn):
        return fn
    if _is_iterated(fn) or inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise LupisUsageError(_ITERATED)
    if not callable(fn):
        raise LupisUsageError(
            f"expected a function, a coroutine function or an awaitable, got {type(fn).__name__}"
        )
    result = fn()
    if _is_iterated(result):
        raise LupisUsageError(_ITERATED)
    return result


def _is_iterated(value: Any) -> bool:
    return inspect.isasyncgen(value) or (
        inspect.isgenerator(value) and not inspect.isawaitable(value)
    )


def _give_up(coroutine: Any) -> None:
    """Close a coroutine that will not run: Python would complain that nobody awaited it."""
    if inspect.iscoroutine(coroutine):
        coroutine.close()


def _conversation(metadata: LupisMetadata | None) -> Conversation:
    if metadata is None:
        return EMPTY
    if not isinstance(metadata, LupisMetadata):
        raise LupisUsageError(f"expected LupisMetadata, got {type(metadata).__name__}")
    return Conversation(
        _text(metadata.chat_id),
        _text(metadata.user_id),
        _text(metadata.organization_id),
        _text(metadata.session_id),
        dict(metadata.extra or {}),
    )


def _narrower(options: LupisBlockOptions) -> Conversation:
    conversation = _conversation(options.metadata)._replace(capture_http=options.capture_http)
    if options.chat_id is not None:
        conversation = conversation._replace(chat_id=_text(options.chat_id))
    return conversation


def _text(value: Any) -> str | None:
    """Return an id as text: programs have UUIDs and numbers for ids too."""
    return None if value is None else str(value)


on_fork(after_in_child=LupisSDK._renew_lock)
