"""The table of all settings; each setting is written once, as one row of `SETTINGS`.

The rows make the options and texts of `lupis-run --help`, the variables of `--print-env`, the
fields' defaults and documentation of `LupisConfig`, the checks of values, and the documentation's
table, which `python -m lupis_instrument._config.settings` prints.

Imported when `lupis-run` checks settings, before it becomes the program: modules that the
interpreter has not loaded already are imported inside functions.
"""

from __future__ import annotations

from lupis_instrument import _semconv
from lupis_instrument._config.clients import CLIENT_NAMES
from lupis_instrument._config.value_types import (
    Choice,
    Dollars,
    File,
    Flag,
    FlagOrWord,
    Folder,
    Globs,
    InvalidValueError,
    Lines,
    Megabytes,
    Names,
    NamesOrAll,
    OptionalFlag,
    Pairs,
    ProviderHosts,
    Regexes,
    Seconds,
    Tags,
    Text,
    Token,
    TracesUrl,
    UrlOrNone,
    ValueType,
    check_items,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Tuple

    OtelSource = Tuple[str, Callable[[str], str]]
    """An OTEL_* variable, and a function that translates its text; "" where it says nothing."""

PREFIX = "LUPIS_"
"""The prefix of all variables of this package."""
HTTP_HINT = "this sends OTLP over HTTP, usually port 4318"
"""The remark on an endpoint that seems to speak gRPC."""
_MAX_SHOWN = 120
"""Characters of a wrong value that a message shows."""
_UNSET = "not set"


class Setting:
    """One setting, a row of the table.

    Attributes:
        variable: the environment variable.
        option: the option of `lupis-run`.
        name: the field of `LupisConfig`, or the key in `Reading.values` if it has none.
        value_type: reads, checks and formats the setting's values.
        default: the value if nobody sets one.
        description: one or two sentences for users, with the unit.
        group: the heading above the option in `lupis-run --help`.
        aliases: further variables with the same meaning; `variable` takes precedence.
        otel_sources: the OTEL_* variables that set the same, in order of precedence.
        secret: whether values are hidden everywhere but in some formats of `--print-env`.
        in_config: whether `LupisConfig` has the setting as a field.
        fallback: the value that a program runs on with after a wrong one of which no part is
            valid: the one that exports least.
        default_text: the default as users see it.
        caution: a value that deserves a warning, and the warning.
        check_item: checks a value, or each item of a list; raises ValueError.
    """

    __slots__ = (
        "aliases",
        "caution",
        "check_item",
        "default",
        "default_text",
        "description",
        "fallback",
        "group",
        "in_config",
        "name",
        "option",
        "otel_sources",
        "secret",
        "value_type",
        "variable",
    )

    def __init__(
        self,
        variable: str,
        value_type: ValueType,
        default: Any,
        description: str,
        group: str,
        *,
        aliases: tuple[str, ...] = (),
        otel_sources: tuple[OtelSource, ...] = (),
        secret: bool = False,
        in_config: bool = True,
        fallback: Any = None,
        default_text: str = "",
        caution: tuple[Any, str] | None = None,
        check_item: Callable[[str], object] | None = None,
        option: str = "",
    ) -> None:
        self.variable = variable
        self.name = variable[len(PREFIX) :].lower()
        self.option = option or "--" + self.name.replace("_", "-")
        self.value_type = value_type
        self.default = default
        self.description = description
        self.group = group
        self.aliases = aliases
        self.otel_sources = otel_sources
        self.secret = secret
        self.in_config = in_config
        self.fallback = default if fallback is None else fallback
        self.default_text = default_text or (
            value_type.format_value(default) if default or default is False else _UNSET
        )
        self.caution = caution
        self.check_item = check_item

    def read_value(self, value: Any) -> Any:
        """Return `value`, a text or a value given in code, in its stored form.

        Raises:
            InvalidValueError: it is not valid; the message never shows a secret.
        """
        parsed = self.value_type.parse_text(value) if isinstance(value, str) else value
        checked = self.value_type.check_value(parsed)
        if self.check_item is None:
            return checked
        if isinstance(checked, tuple):  # of a list, the valid items are kept
            return check_items(checked, self.check_item)
        check_items((checked,), self.check_item)
        return checked

    def describe_error(self, label: str, value: Any, error: InvalidValueError) -> str:
        """Return one line about the error in `value`.

        Args:
            label: the variable, option or field that was set.
            value: the value, which the line shows unless the setting is a secret.
            error: the reason.
        """
        if self.secret:
            return f"{label}='***': {error}"
        text = hide_password(value) if isinstance(value, str) else repr(value)
        if len(text) > _MAX_SHOWN:
            text = text[:_MAX_SHOWN] + "…"
        shown = repr(text) if isinstance(value, str) else text
        return f"{label}={shown}: {error}"

    def show_value(self, value: Any) -> str:
        """Return `value` as anyone may see it: without a secret, or a password in a URL."""
        if value == self.default:
            return self.default_text
        return "***" if self.secret else hide_password(self.value_type.format_value(value))


def hide_password(text: str) -> str:
    """Return `text` with the user and password of a URL (RFC 3986, section 3.2.1) as `***`."""
    scheme, separator, remainder = text.partition("://")
    authority, slash, path = remainder.partition("/")
    user_info, at_sign, host = authority.rpartition("@")
    return scheme + separator + ("***" if user_info else "") + at_sign + host + slash + path


def hide_secrets(text: str) -> str:
    """Return `text` with secrets masked; a wrong value may be a key given to a wrong setting."""
    from lupis_instrument._redaction import Redactor

    return Redactor().redact_text(text)


# OTEL_* variables: each function translates the text of one to the text of a LUPIS_* variable.


def _keep_text(text: str) -> str:
    return text


def _negate_flag(text: str) -> str:
    """Translate OTEL_SDK_DISABLED, of which only `true`, in any case, has a meaning."""
    return "false" if text.lower() == "true" else ""


def _append_traces_path(text: str) -> str:
    """Translate OTEL_EXPORTER_OTLP_ENDPOINT, a base URL (OTLP exporter, Endpoint URLs)."""
    return text.rstrip("/") + "/v1/traces" if text else ""


def _translate_exporters(text: str) -> str:
    """Translate OTEL_TRACES_EXPORTER, a list; exporters of other protocols say nothing here.

    `otlp` means the endpoint that the other variables name. Without one it is no reason to send
    spans to the port of the desktop app, which another program may use.
    """
    names = [name.strip() for name in text.lower().split(",")]
    known = {"none": "none", "otlp": "auto", "otlp_proto_http": "auto", "console": "console"}
    return next((exporter for name, exporter in known.items() if name in names), "")


def _resource_attribute(name: str) -> Callable[[str], str]:
    """Return a function that takes the value of `name` out of OTEL_RESOURCE_ATTRIBUTES."""

    def find_value(text: str) -> str:
        pairs = Pairs().parse_text(text)
        return next((value for key, value in pairs if key == name and value), "")

    return find_value


# Checks of values that other parts of the package know.


def _check_pattern(pattern: str) -> None:
    from lupis_instrument._redaction import compile_pattern

    compile_pattern(pattern)


def _check_prices_file(path: str) -> None:
    from lupis_instrument._config.prices_file import read_prices

    read_prices(path)


_PROJECT = "Project"
_DELIVERY = "Delivery"
_PRIVACY = "Privacy"
_CONVERSATION = "Conversation"
_INSTRUMENTATION = "Instrumentation"
_COST = "Cost"
_PROCESS = "Process"

_TEXT = Text()
_TOKEN = Token()
_FLAG = Flag()
_GLOBS = Globs()
_NAMES = NamesOrAll(*CLIENT_NAMES)

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "LUPIS_PROJECT_ID",
        _TOKEN,
        "default",
        "Id of the project for all telemetry: resource attribute lupis.project.id and header"
        " x-project-id.",
        _PROJECT,
    ),
    Setting(
        "LUPIS_API_KEY",
        _TOKEN,
        None,
        "Key for the endpoint, sent as header x-api-key.",
        _PROJECT,
        secret=True,
    ),
    Setting(
        "LUPIS_ENABLED",
        _FLAG,
        True,
        "Whether to record calls. If false, nothing is instrumented and nothing is sent.",
        _PROJECT,
        aliases=("LUPIS_SDK_ENABLED",),
        otel_sources=(("OTEL_SDK_DISABLED", _negate_flag),),
    ),
    Setting(
        "LUPIS_SERVICE_NAME",
        _TEXT,
        "lupis-sdk",
        "Name of your service: resource attribute service.name. If not set, OTEL_SERVICE_NAME"
        " applies.",
        _PROJECT,
        otel_sources=(
            ("OTEL_SERVICE_NAME", _keep_text),
            ("OTEL_RESOURCE_ATTRIBUTES", _resource_attribute(_semconv.SERVICE_NAME)),
        ),
    ),
    Setting(
        "LUPIS_SERVICE_VERSION",
        _TEXT,
        "1.0.0",
        "Version of your service: resource attribute service.version.",
        _PROJECT,
        otel_sources=(("OTEL_RESOURCE_ATTRIBUTES", _resource_attribute(_semconv.SERVICE_VERSION)),),
    ),
    Setting(
        "LUPIS_TAGS",
        Tags(),
        {},
        "Labels of this launch, as key=value,key=value: resource attributes lupis.tag.KEY, by which"
        " lupis report groups. The option takes one label and may be repeated.",
        _PROJECT,
        option="--tag",
    ),
    Setting(
        "LUPIS_EXPORTER",
        Choice("auto", "otlp", "local", "console", "none"),
        "auto",
        "Destination of spans and events: otlp (the endpoint), local (the store on disk), console"
        " (stderr) or none. auto means the endpoint if you set one or the Lupis desktop app is"
        " running, else the store. If not set, OTEL_TRACES_EXPORTER applies.",
        _DELIVERY,
        otel_sources=(("OTEL_TRACES_EXPORTER", _translate_exporters),),
        fallback="local",
    ),
    Setting(
        "LUPIS_OTLP_ENDPOINT",
        TracesUrl(),
        "http://127.0.0.1:9009/api/traces",
        "Full URL for spans; /v1/traces is added to a URL without a path. If not set,"
        " OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT applies.",
        _DELIVERY,
        otel_sources=(
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", _keep_text),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", _append_traces_path),
        ),
    ),
    Setting(
        "LUPIS_EVENTS_ENDPOINT",
        UrlOrNone(),
        None,
        "Full URL for events, or none to keep them in the local store. If not set, it follows from"
        " the URL for spans: …/api/events for …/api/traces, and …/v1/logs (OTLP logs) for"
        " …/v1/traces.",
        _DELIVERY,
        default_text="derived from the endpoint for spans",
    ),
    Setting(
        "LUPIS_OTLP_HEADERS",
        Pairs(),
        {},
        "Headers of every request to the endpoints, as k=v,k=v with percent-encoded values. If not"
        " set, OTEL_EXPORTER_OTLP_HEADERS applies.",
        _DELIVERY,
        otel_sources=(
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", _keep_text),
            ("OTEL_EXPORTER_OTLP_HEADERS", _keep_text),
        ),
        secret=True,
    ),
    Setting(
        "LUPIS_FILTER_SENSITIVE_DATA",
        _FLAG,
        True,
        "Whether to redact secrets in everything that leaves the process.",
        _PRIVACY,
        caution=(False, "secrets in telemetry are not filtered"),
    ),
    Setting(
        "LUPIS_SENSITIVE_DATA_PATTERNS",
        Lines(),
        (),
        "Names and regular expressions of further secrets, as a JSON array or one a line. They add"
        " to the built-in rules.",
        _PRIVACY,
        check_item=_check_pattern,
    ),
    Setting(
        "LUPIS_REDACTION_MODE",
        Choice("mask", "remove", "hash"),
        "mask",
        "Replacement for a secret: a mask that keeps the ends of long keys (mask), a fixed text"
        " (remove), or a hash (hash).",
        _PRIVACY,
        fallback="remove",
    ),
    Setting(
        "LUPIS_HASH_KEY",
        _TEXT,
        None,
        "Key for redaction mode hash, whose hashes are then HMAC-SHA-256. Derived chat ids use it"
        " too.",
        _PRIVACY,
        secret=True,
    ),
    Setting(
        "LUPIS_CAPTURE_HEADERS",
        _GLOBS,
        ("*",),
        "HTTP headers that spans record: all, none, or a list of names and globs.",
        _PRIVACY,
        fallback=(),
    ),
    Setting(
        "LUPIS_STACKTRACE_SOURCE",
        _FLAG,
        False,
        "Whether stack traces hold lines of source code, which may quote prompts.",
        _PRIVACY,
    ),
    Setting(
        "LUPIS_PROPAGATE_TO",
        _GLOBS,
        ("private",),
        "Hosts that receive traceparent and, as baggage, the chat id: private, none, all, or globs."
        " private means private addresses, single-label names, names in .internal, .local, .svc"
        " and .cluster.local, and on loopback LLM APIs and calls with a chat id.",
        _PRIVACY,
        fallback=(),
    ),
    Setting(
        "LUPIS_CHAT_ID",
        _TEXT,
        None,
        "Chat id of all spans and events, unless your code sets another.",
        _CONVERSATION,
        in_config=False,
    ),
    Setting(
        "LUPIS_AUTO_CHAT_ID",
        FlagOrWord("export"),
        True,
        "Whether to derive a chat id, lupis.chat.id, for LLM calls that have none, and a"
        " fingerprint of each request. With export, a derived id is also gen_ai.conversation.id and"
        " session.id, for backends that group by these.",
        _CONVERSATION,
    ),
    Setting(
        "LUPIS_USER_ID",
        _TEXT,
        None,
        "User id of all spans and events, unless your code sets another.",
        _CONVERSATION,
        in_config=False,
    ),
    Setting(
        "LUPIS_ORGANIZATION_ID",
        _TEXT,
        None,
        "Organization id of all spans and events, unless your code sets another.",
        _CONVERSATION,
        in_config=False,
    ),
    Setting(
        "LUPIS_SESSION_ID",
        _TEXT,
        None,
        "Session id of all spans and events, unless your code sets another.",
        _CONVERSATION,
        in_config=False,
    ),
    Setting(
        "LUPIS_INSTRUMENT",
        _NAMES,
        (),
        f"Clients to instrument: {', '.join(CLIENT_NAMES[:-1])} and {CLIENT_NAMES[-1]}."
        " A client that is named here and can't be instrumented is an error.",
        _INSTRUMENTATION,
        default_text="all",
    ),
    Setting(
        "LUPIS_DISABLED_INSTRUMENTATIONS",
        Names(*CLIENT_NAMES),
        (),
        "Clients not to instrument, by the names that LUPIS_INSTRUMENT takes.",
        _INSTRUMENTATION,
    ),
    Setting(
        "LUPIS_EXCLUDED_URLS",
        Regexes(),
        (),
        "Regular expressions, separated by commas. A call whose URL contains a match gets no span.",
        _INSTRUMENTATION,
    ),
    Setting(
        "LUPIS_NATIVE_SPANS",
        _FLAG,
        True,
        "Whether to record the spans that your program and its libraries make by OpenTelemetry's"
        " API while no TracerProvider is set.",
        _INSTRUMENTATION,
    ),
    Setting(
        "LUPIS_EXCLUDED_SCOPES",
        _GLOBS,
        (),
        "Instrumentation scopes whose spans LUPIS_NATIVE_SPANS leaves out: a list of names and"
        " globs.",
        _INSTRUMENTATION,
    ),
    Setting(
        "LUPIS_ROOT_SPAN",
        _FLAG,
        False,
        "Whether to make one span for the whole process, named by your program, so that it is one"
        " trace in every backend.",
        _INSTRUMENTATION,
        in_config=False,
    ),
    Setting(
        "LUPIS_JOIN_PROVIDER",
        _FLAG,
        False,
        "Whether the TracerProvider that your program sets up receives the spans too.",
        _INSTRUMENTATION,
    ),
    Setting(
        "LUPIS_PROVIDER_HOSTS",
        ProviderHosts(),
        {},
        "Gateways, private endpoints and test servers, each with the provider whose API it speaks:"
        " llm.corp.example:8443=openai,…",
        _INSTRUMENTATION,
    ),
    Setting(
        "LUPIS_MAX_COST",
        Dollars(),
        None,
        "Budget in USD for the LLM calls of all processes of a launch. A line on stderr says when"
        " 80 % of it are used, and when it is used up.",
        _COST,
    ),
    Setting(
        "LUPIS_ON_LIMIT",
        Choice("warn", "block", "stop"),
        "warn",
        "What happens when the budget is used up: only the line (warn), or each further LLM call"
        " raises LupisBudgetError before it is sent (block), or the launch gets SIGTERM (stop).",
        _COST,
    ),
    Setting(
        "LUPIS_PRICES_FILE",
        File(),
        None,
        "Path of a JSON file with your own prices, in USD per million tokens. They take precedence"
        " over the built-in catalog.",
        _COST,
        check_item=_check_prices_file,
    ),
    Setting(
        "LUPIS_INSTRUMENT_CHILDREN",
        _FLAG,
        True,
        "Whether to instrument Python child processes too.",
        _PROCESS,
        in_config=False,
    ),
    Setting(
        "LUPIS_SUMMARY",
        OptionalFlag(),
        None,
        "Whether to print totals on stderr when your program ends. auto prints them on a terminal,"
        " and one line in a pipe or in CI.",
        _PROCESS,
        default_text="auto",
    ),
    Setting(
        "LUPIS_DATA_DIR",
        Folder(),
        None,
        "Folder for the local store, for undelivered data, and for the key of derived chat ids.",
        _PROCESS,
        default_text="the platform's folder for user data",
    ),
    Setting(
        "LUPIS_STORE_MAX_MB",
        Megabytes(),
        256.0,
        "Maximum size of the local store in MiB. Beyond it, the oldest data is deleted first.",
        _PROCESS,
    ),
    Setting(
        "LUPIS_DURABLE",
        _FLAG,
        False,
        "Whether to store each span on disk as it ends, so that not even SIGKILL loses one.",
        _PROCESS,
    ),
    Setting(
        "LUPIS_SHUTDOWN_TIMEOUT",
        Seconds(),
        3.0,
        "Maximum time that the end of your program waits for delivery, in seconds.",
        _PROCESS,
    ),
    Setting(
        "LUPIS_LOG_LEVEL",
        Choice("debug", "info", "warning", "error", "critical"),
        "warning",
        "Lowest severity of the messages that Lupis Instrument itself writes to stderr.",
        _PROCESS,
        in_config=False,
    ),
)

BY_NAME = {row.name: row for row in SETTINGS}
"""The rows by field name."""


def format_settings_table() -> str:
    """Return the documentation's table of settings, in Markdown."""
    lines = ["| variable | option | `LupisConfig` | default | meaning |", "|---|---|---|---|---|"]
    for row in SETTINGS:
        variables = " or ".join(f"`{name}`" for name in (row.variable, *row.aliases))
        field = f"`{row.name}`" if row.in_config else ""
        default = row.default_text if " " in row.default_text else f"`{row.default_text}`"
        description = row.description.replace("|", "\\|")
        cells = (variables, f"`{row.option}`", field, default, description)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(format_settings_table())
