"""`LupisSDK`, the optional in-code API: events, chat ids, user metadata and own spans."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Iterator, Mapping, TypeVar, overload

from lupis_instrument import _semconv
from lupis_instrument._diagnostics import internal_errors
from lupis_instrument._earlier_api import EarlierMethods, note_earlier
from lupis_instrument._process.fork import on_fork
from lupis_instrument._runtime import bootstrap, launch
from lupis_instrument._tracing import context as call_context
from lupis_instrument._tracing.context import EMPTY, Conversation
from lupis_instrument.exceptions import LupisConfigError, LupisUsageError

if TYPE_CHECKING:
    from types import ModuleType
    from typing import ContextManager

    from opentelemetry.trace import Span, SpanKind, Tracer

    from lupis_instrument._config.config import LupisConfig
    from lupis_instrument._runtime.runtime import Runtime

Result = TypeVar("Result")

_METADATA_IDS = ("user_id", "organization_id", "session_id", "chat_id")
_CANNOT_AWAIT = "run_sync cannot await: use `await sdk.run(...)`"
_ITERATED = (
    "a generator's body runs where it is iterated, outside the conversation: iterate inside the"
    " function given to run, or use `with sdk.conversation(...)` around the loop"
)


@dataclass(frozen=True)
class LupisMetadata:
    """The user, organization and session that spans and events belong to.

    An attribute that is None or empty leaves the less specific value: the metadata of a block
    overrides the metadata of the process, field by field.

    Attributes:
        user_id: the user, sent as `user.id` and `lupis.metadata.user_id`.
        organization_id: the user's organization.
        session_id: a session that may have several conversations, such as a browser session.
        chat_id: the conversation, sent as `lupis.chat.id` and `gen_ai.conversation.id`.
        extra: further values by name; JSON has to be able to hold them.
    """

    user_id: str | None = None
    organization_id: str | None = None
    session_id: str | None = None
    chat_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LupisBlockOptions:
    """The options of `LupisSDK.run` and `LupisSDK.run_sync`.

    Attributes:
        chat_id: the conversation that the function belongs to.
        name: the name of a span around the function; None for no span.
        metadata: metadata for the function alone; its fields override the metadata around it.
        capture_http: whether the HTTP calls of the function are recorded.
        capture_console: deprecated; the console is never recorded.
    """

    chat_id: str | None = None
    name: str | None = None
    metadata: LupisMetadata | Mapping[str, Any] | None = None
    capture_http: bool = True
    capture_console: bool = False

    def __post_init__(self) -> None:
        """Say that the console is not recorded, where a program asks for it."""
        if self.capture_console:
            note_earlier("capture_console (without effect)", "track_event")


class _State:
    """The instance of this process.

    Attributes:
        instance: the instance, once it is made.
        lock: held while the instance is made or instrumentation starts.
    """

    __slots__ = ("instance", "lock")

    def __init__(self) -> None:
        self.instance: LupisSDK | None = None
        self.lock = Lock()

    def renew_lock(self) -> None:
        """Replace the lock in a forked child: another thread of the parent may have held it."""
        self.lock = Lock()


_state = _State()
on_fork(after_in_child=_state.renew_lock)


class LupisSDK(EarlierMethods):
    """Adds information that only your code has: events, chat ids, metadata and spans of your own.

    A process has one instance. Under `lupis-run`, `LupisSDK.get_instance()` returns it; without
    `lupis-run`, `LupisSDK.init(config)` makes it. All methods can be called from any thread.
    """

    def __new__(cls, *arguments: Any, **named: Any) -> LupisSDK:  # noqa: PYI034 - may be a subclass's
        """Return the instance where a program calls `LupisSDK(config)`, which is deprecated.

        Raises:
            LupisUsageError: there is not one argument.
        """
        if named or len(arguments) != 1:
            raise LupisUsageError("call LupisSDK.init(config) or LupisSDK.get_instance()")
        note_earlier("LupisSDK(config)", "LupisSDK.init(config)")
        return cls.init(arguments[0])

    @classmethod
    def init(cls, config: LupisConfig) -> LupisSDK:
        """Configure and instrument this process; `lupis-run` is not needed for this.

        Args:
            config: the settings. Under `lupis-run`, options and variables take precedence.

        Returns:
            The instance. A second call returns the same instance and keeps the first settings.

        Raises:
            LupisConfigError: `config` is not a `LupisConfig`.
        """
        bootstrap.load_runtime()
        from lupis_instrument._config.config import LupisConfig as Config
        from lupis_instrument._runtime import current

        if not isinstance(config, Config):
            raise LupisConfigError(f"expected a LupisConfig, got {type(config).__name__}")
        instance = cls._make_instance()
        # Two threads may call at once; only one of them may install the import hooks.
        with _state.lock:
            if current.start_runtime(config) is not None:
                bootstrap.watch_imports()
        return instance

    @classmethod
    def get_instance(cls) -> LupisSDK | None:
        """Return the instance; None without `lupis-run` and before `LupisSDK.init`."""
        if _state.instance is None and launch.launch.launched:
            return cls._make_instance()
        return _state.instance

    @classmethod
    def _make_instance(cls) -> LupisSDK:
        with _state.lock:
            if _state.instance is None:
                _state.instance = object.__new__(cls)
            return _state.instance

    @staticmethod
    def _start_runtime() -> Runtime | None:
        """Return this process's runtime, which the first call starts; None if it is disabled."""
        runtime: Runtime | None = _load_runtime().start_runtime()
        return runtime

    def is_enabled(self) -> bool:
        """Return whether calls are recorded; False with LUPIS_ENABLED=false, for example."""
        return self._start_runtime() is not None

    # Events

    def track_event(
        self,
        name: str,
        properties: Mapping[str, Any] | None = None,
        metadata: LupisMetadata | Mapping[str, Any] | None = None,
    ) -> None:
        """Record an event; it is delivered in the background, and no error is raised.

        Args:
            name: the event's name, such as "report_opened".
            properties: further values by name. A value that JSON cannot hold is replaced by a
                readable text.
            metadata: metadata for this event alone; its fields override the metadata around the
                call.
        """
        with internal_errors("tracking an event"):
            self._track_event(name, properties, metadata)

    def _track_event(
        self,
        name: str,
        properties: Mapping[str, Any] | None,
        metadata: LupisMetadata | Mapping[str, Any] | None,
    ) -> None:
        runtime = self._start_runtime()
        if runtime is None:
            return
        conversation = call_context.current_conversation()
        if metadata is not None:
            conversation = _make_conversation(metadata).with_defaults(conversation)
        runtime.track_event(name, properties, conversation)

    # Conversations and metadata

    def set_chat_id(self, chat_id: str) -> None:
        """Set the chat id of all later spans and events of this process and its child processes.

        The chat ids of `conversation`, `run` and `set_metadata` take precedence.

        Args:
            chat_id: the id; a UUID or a number is converted to text.
        """
        self._start_runtime()  # so that child processes started from now on get the id
        chat = Conversation(chat_id=_convert_id(chat_id))
        call_context.process_values.set_layers(chat=chat)

    def clear_chat_id(self) -> None:
        """Remove the chat id that `set_chat_id` set."""
        call_context.process_values.set_layers(chat=EMPTY)

    def set_metadata(self, metadata: LupisMetadata | Mapping[str, Any]) -> None:
        """Set the metadata of all later spans and events of this process.

        Child processes started from now on get the four ids, but not `extra`.

        Args:
            metadata: the metadata, which replaces the metadata of an earlier call. A dict, which is
                deprecated, is laid over it.

        Raises:
            LupisUsageError: `metadata` is neither a `LupisMetadata` nor a dict.
        """
        self._start_runtime()
        conversation = _make_conversation(metadata)
        if isinstance(metadata, Mapping):
            conversation = conversation.with_defaults(call_context.process_values.metadata)
        call_context.process_values.set_layers(metadata=conversation)

    def get_metadata(self) -> LupisMetadata:
        """Return a copy of the metadata that `set_metadata` set."""
        metadata = call_context.process_values.metadata
        return LupisMetadata(
            metadata.user_id,
            metadata.organization_id,
            metadata.session_id,
            metadata.chat_id,
            dict(metadata.extra),
        )

    def clear_metadata(self) -> None:
        """Remove the metadata that `set_metadata` set."""
        call_context.process_values.set_layers(metadata=EMPTY)

    @contextmanager
    def conversation(
        self,
        chat_id: str | None,
        metadata: LupisMetadata | Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        capture_http: bool = True,
    ) -> Iterator[None]:
        """Give a chat id and metadata to the spans and events of a `with` block.

        The block's values follow into threads and tasks that it starts.

        Args:
            chat_id: the conversation; None keeps the chat id around the block.
            metadata: metadata for the block; its fields override the metadata around it.
            name: the name of a span around the block; None for no span.
            capture_http: whether the HTTP calls of the block are recorded.

        Raises:
            LupisUsageError: `metadata` is neither a `LupisMetadata` nor a dict.
        """
        options = LupisBlockOptions(chat_id, name, metadata, capture_http)
        self._start_runtime()  # so that threads and processes started inside get the values
        with call_context.use_conversation(_combine_options(options)):
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
        """Run `fn` with a chat id and metadata that apply to it alone.

        Args:
            fn: a function or coroutine function without parameters, or an awaitable.
            options: the chat id, the metadata, and a span for `fn`.

        Returns:
            The result of `fn`.

        Raises:
            LupisUsageError: `fn` is not callable and not an awaitable, or it is a generator, whose
                body would run outside the conversation.
        """
        options = options or LupisBlockOptions()
        with self._enter_options(options):
            result = _call_function(fn)
            return await result if inspect.isawaitable(result) else result

    def run_sync(
        self, fn: Callable[[], Result], options: LupisBlockOptions | None = None
    ) -> Result:
        """Run `fn` as `run` does, in code without an event loop.

        Args:
            fn: a function without parameters.
            options: the chat id, the metadata, and a span for `fn`.

        Returns:
            The result of `fn`.

        Raises:
            LupisUsageError: `fn` is not callable, or it makes a generator or a coroutine; only
                `run` can wait for a coroutine.
        """
        if inspect.iscoroutinefunction(fn) or inspect.isawaitable(fn):
            _close_coroutine(fn)
            raise LupisUsageError(_CANNOT_AWAIT)
        with self._enter_options(options or LupisBlockOptions()):
            result: Result = _call_function(fn)
            if inspect.iscoroutine(result):
                _close_coroutine(result)
                raise LupisUsageError(_CANNOT_AWAIT)
            return result

    def _enter_options(self, options: LupisBlockOptions) -> ContextManager[None]:
        return self.conversation(
            options.chat_id,
            options.metadata,
            name=options.name,
            capture_http=options.capture_http,
        )

    # Spans

    def get_tracer(self) -> Tracer:
        """Return an OpenTelemetry tracer whose spans are exported together with the LLM calls."""
        runtime = self._start_runtime()
        if runtime is None:
            from lupis_instrument._tracing.api import NoOpTracer

            return NoOpTracer()
        return runtime.get_tracer()

    @contextmanager
    def create_span(
        self,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        span_kind: SpanKind | None = None,
        *,
        kind: str | None = None,
    ) -> Iterator[Span]:
        """Record a `with` block as a span, which is the parent of spans inside the block.

        An exception that leaves the block is recorded on the span and raised again. The words of
        its message are not exported, for they may quote a prompt.

        Args:
            name: the span's name.
            attributes: the span's attributes: text, numbers, bools, or lists of one of them.
            span_kind: the span's kind, by default `SpanKind.INTERNAL`.
            kind: "agent", "tool" or "chain" for a span with the name of one; sets the attributes
                by which backends recognise it, such as `gen_ai.agent.name`.

        Yields:
            The span, for example to set attributes on it.

        Raises:
            LupisUsageError: `kind` is none of these words.
        """
        from lupis_instrument._tracing.api import SpanKind, Status, StatusCode, set_span_in_context

        # Not `start_as_current_span`: it logs an error if the block is in a generator that another
        # task or thread closes than the one that began it.
        span = self.get_tracer().start_span(
            name,
            attributes={**_describe_kind(kind, name), **(attributes or {})} or None,
            kind=span_kind or SpanKind.INTERNAL,
        )
        try:
            with call_context.use_context(set_span_in_context(span)):
                yield span
        except Exception as error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
            raise
        finally:
            span.end()

    # Delivery

    def flush(self, timeout: float = 3.0) -> bool:
        """Deliver pending spans and events now, those that an endpoint has not accepted before too.

        Args:
            timeout: the maximum time to wait, in seconds.

        Returns:
            Whether all of them were delivered in time.
        """
        runtime = self._start_runtime()
        if runtime is None:
            return True
        from lupis_instrument._process.greenlets import call_beside_greenlets

        with internal_errors("delivering"):
            return bool(call_beside_greenlets(lambda: runtime.flush(timeout)))
        return False

    def shutdown_sync(self) -> None:
        """Deliver or store pending spans and events, and stop the background threads.

        Waits `LupisConfig.shutdown_timeout` seconds at most. A later call is still recorded.
        """
        bootstrap.load_runtime()
        from lupis_instrument._process.greenlets import call_beside_greenlets
        from lupis_instrument._runtime import current

        runtime = current.get_runtime()
        if runtime is not None:
            with internal_errors("ending"):
                call_beside_greenlets(runtime.shutdown)

    async def shutdown(self) -> None:
        """Shut down as `shutdown_sync` does, without blocking the event loop."""
        await asyncio.get_running_loop().run_in_executor(None, self.shutdown_sync)


@lru_cache(maxsize=None)
def _load_runtime() -> ModuleType:
    """Import the runtime; cached, since each span and event of the program needs the module."""
    bootstrap.load_runtime()
    from lupis_instrument._runtime import current

    return current


def _call_function(fn: Any) -> Any:
    """Return the result of `fn`, or `fn` itself if it is an awaitable; refuse generators."""
    if inspect.isawaitable(fn):
        return fn
    if _is_generator(fn) or inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise LupisUsageError(_ITERATED)
    if not callable(fn):
        raise LupisUsageError(
            f"expected a function, a coroutine function or an awaitable, got {type(fn).__name__}"
        )
    result = fn()
    if _is_generator(result):
        raise LupisUsageError(_ITERATED)
    return result


def _describe_kind(kind: str | None, name: str) -> dict[str, Any]:
    """Return the attributes of a span that has the name of an agent, a tool or a chain."""
    if kind is None:
        return {}
    if kind not in _semconv.SPAN_KINDS:
        kinds = ", ".join(map(repr, _semconv.SPAN_KINDS))
        raise LupisUsageError(f"create_span(kind={kind!r}): expected one of {kinds}")
    operation, name_attribute = _semconv.SPAN_KINDS[kind]
    return {_semconv.GEN_AI_OPERATION_NAME: operation, name_attribute: name}


def _is_generator(value: Any) -> bool:
    """Return whether `value` is a generator; an awaitable made of a generator function is not."""
    return inspect.isasyncgen(value) or (
        inspect.isgenerator(value) and not inspect.isawaitable(value)
    )


def _close_coroutine(coroutine: Any) -> None:
    """Close a coroutine that will not run: Python would warn that nobody awaited it."""
    if inspect.iscoroutine(coroutine):
        coroutine.close()


def _make_conversation(metadata: LupisMetadata | Mapping[str, Any] | None) -> Conversation:
    if metadata is None:
        return EMPTY
    if isinstance(metadata, Mapping):
        note_earlier("metadata as a dict", "LupisMetadata(...)")
        metadata = _read_mapping(metadata)
    if not isinstance(metadata, LupisMetadata):
        raise LupisUsageError(f"expected LupisMetadata, got {type(metadata).__name__}")
    return Conversation(
        _convert_id(metadata.chat_id),
        _convert_id(metadata.user_id),
        _convert_id(metadata.organization_id),
        _convert_id(metadata.session_id),
        dict(metadata.extra or {}),
    )


def _read_mapping(values: Mapping[str, Any]) -> LupisMetadata:
    """Return a dict as metadata; a name that is no field goes to `extra`."""
    extra = {name: value for name, value in values.items() if name not in _METADATA_IDS}
    ids = {name: values.get(name) for name in _METADATA_IDS}
    return LupisMetadata(**ids, extra=extra)


def _combine_options(options: LupisBlockOptions) -> Conversation:
    """Return the options as a conversation, in which their chat id overrides their metadata's."""
    conversation = _make_conversation(options.metadata)._replace(capture_http=options.capture_http)
    if options.chat_id is not None:
        conversation = conversation._replace(chat_id=_convert_id(options.chat_id))
    return conversation


def _convert_id(value: Any) -> str | None:
    """Return an id as text: programs use UUIDs and numbers as ids too."""
    return None if value is None else str(value)
