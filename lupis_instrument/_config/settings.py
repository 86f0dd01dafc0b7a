"""The one table of all settings, and the reading of an environment by it.

`lupis-run --help`, `--print-env`, the README's table (`python -m
lupis_instrument._config.settings`) and
`LupisConfig` come from SETTINGS too. Imported at every interpreter start: nothing that is not
already loaded there may be imported at the top.
"""

from __future__ import annotations

from lupis_instrument import _semconv
from lupis_instrument._config.setting import PREFIX, Reader, Reading, Setting
from lupis_instrument._config.value_lists import (
    Globs,
    Lines,
    Names,
    NamesOrAll,
    Pairs,
    ProviderHosts,
    Regexes,
)
from lupis_instrument._config.value_types import (
    Choice,
    File,
    Flag,
    Kind,
    Megabytes,
    OptionalFlag,
    Seconds,
    Token,
    Url,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Mapping

    from lupis_instrument._config.setting import ItemChecks


def _same(text: str) -> str:
    return text


def _off_when_true(text: str) -> str:
    return "false" if text.lower() == "true" else ""


def _traces_under(text: str) -> str:
    return text.rstrip("/") + "/v1/traces" if text else ""


def _resource_attribute(name: str) -> Callable[[str], str]:
    def find(text: str) -> str:
        pairs = Pairs().parse(text)
        return next((value for key, value in pairs if key == name and value), "")

    return find


_CLIENTS = ("requests", "urllib3", "http.client", "httpx", "aiohttp")
_PROJECT = "Project"
_DELIVERY = "Delivery"
_PRIVACY = "Privacy"
_CONVERSATION = "Conversation"
_INSTRUMENTATION = "Instrumentation"
_COST = "Cost"
_PROCESS = "Process"

_TEXT = Kind()
_TOKEN = Token()
_FLAG = Flag()
_URL = Url()
_GLOBS = Globs()
_NAMES = NamesOrAll(*_CLIENTS)

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "LUPIS_PROJECT_ID",
        _TOKEN,
        "default",
        "The project the telemetry belongs to: resource attribute lupis.project.id and header"
        " x-project-id.",
        _PROJECT,
    ),
    Setting(
        "LUPIS_API_KEY",
        _TOKEN,
        None,
        "Sent as header x-api-key.",
        _PROJECT,
        secret=True,
    ),
    Setting(
        "LUPIS_ENABLED",
        _FLAG,
        True,
        "If false, nothing is patched and nothing is sent.",
        _PROJECT,
        aliases=("LUPIS_SDK_ENABLED",),
        standards=(("OTEL_SDK_DISABLED", _off_when_true),),
    ),
    Setting(
        "LUPIS_SERVICE_NAME",
        _TEXT,
        "lupis-sdk",
        "Resource attribute service.name; else that of OTEL_SERVICE_NAME.",
        _PROJECT,
        standards=(
            ("OTEL_SERVICE_NAME", _same),
            ("OTEL_RESOURCE_ATTRIBUTES", _resource_attribute(_semconv.SERVICE_NAME)),
        ),
    ),
    Setting(
        "LUPIS_SERVICE_VERSION",
        _TEXT,
        "1.0.0",
        "Resource attribute service.version.",
        _PROJECT,
        standards=(("OTEL_RESOURCE_ATTRIBUTES", _resource_attribute(_semconv.SERVICE_VERSION)),),
    ),
    Setting(
        "LUPIS_EXPORTER",
        Choice("auto", "otlp", "local", "console", "none"),
        "auto",
        "Where spans and events go: to the OTLP endpoint, to the local store, to stderr, or"
        " nowhere; auto: to the endpoint if one is set or the Lupis desktop collector runs, else to"
        " the store.",
        _DELIVERY,
        safe="local",
    ),
    Setting(
        "LUPIS_OTLP_ENDPOINT",
        _URL,
        "http://127.0.0.1:9009/api/traces",
        "Full URL for spans; else that of OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or"
        " OTEL_EXPORTER_OTLP_ENDPOINT.",
        _DELIVERY,
        standards=(
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", _same),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", _traces_under),
        ),
    ),
    Setting(
        "LUPIS_EVENTS_ENDPOINT",
        _URL,
        None,
        "Full URL for events; by default …/api/events for …/api/traces, and OTLP logs at"
        " …/v1/logs for …/v1/traces.",
        _DELIVERY,
        default_shown="derived from the endpoint for spans",
    ),
    Setting(
        "LUPIS_OTLP_HEADERS",
        Pairs(),
        {},
        "Headers added to every request, k=v,k=v with percent-encoded values; else those of"
        " OTEL_EXPORTER_OTLP_HEADERS.",
        _DELIVERY,
        standards=(
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", _same),
            ("OTEL_EXPORTER_OTLP_HEADERS", _same),
        ),
        secret=True,
    ),
    Setting(
        "LUPIS_FILTER_SENSITIVE_DATA",
        _FLAG,
        True,
        "Redact secrets in everything that leaves the process.",
        _PRIVACY,
        caution=(False, "secrets in telemetry are not filtered"),
    ),
    Setting(
        "LUPIS_SENSITIVE_DATA_PATTERNS",
        Lines(),
        (),
        "Names and regular expressions, a JSON array or one a line, added to the built-in rules.",
        _PRIVACY,
    ),
    Setting(
        "LUPIS_REDACTION_MODE",
        Choice("mask", "remove", "hash"),
        "mask",
        "What stands in a secret's place: a mask that keeps its ends, nothing of it, or its hash.",
        _PRIVACY,
        safe="remove",
    ),
    Setting(
        "LUPIS_HASH_KEY",
        _TEXT,
        None,
        "Makes the hash of redaction mode hash a keyed one, HMAC-SHA-256; derived chat ids are made"
        " with it, too.",
        _PRIVACY,
        secret=True,
    ),
    Setting(
        "LUPIS_CAPTURE_HEADERS",
        _GLOBS,
        ("*",),
        "The HTTP headers that spans carry: all, none, or names and globs.",
        _PRIVACY,
        safe=(),
    ),
    Setting(
        "LUPIS_PROPAGATE_TO",
        _GLOBS,
        ("private",),
        "Who receives traceparent and the chat id as baggage: private (loopback, private"
        " addresses, single-label names, .internal .local .svc .cluster.local), none, all, or"
        " host globs.",
        _PRIVACY,
        safe=(),
    ),
    Setting(
        "LUPIS_CHAT_ID",
        _TEXT,
        None,
        "The chat id that is in force at the start.",
        _CONVERSATION,
        in_config=False,
    ),
    Setting(
        "LUPIS_AUTO_CHAT_ID",
        _FLAG,
        True,
        "Derive a chat id for LLM calls when none is in force.",
        _CONVERSATION,
    ),
    Setting(
        "LUPIS_USER_ID",
        _TEXT,
        None,
        "The user id that is in force at the start.",
        _CONVERSATION,
        in_config=False,
    ),
    Setting(
        "LUPIS_ORGANIZATION_ID",
        _TEXT,
        None,
        "The organization id that is in force at the start.",
        _CONVERSATION,
        in_config=False,
    ),
    Setting(
        "LUPIS_SESSION_ID",
        _TEXT,
        None,
        "The session id that is in force at the start.",
        _CONVERSATION,
        in_config=False,
    ),
    Setting(
        "LUPIS_INSTRUMENT",
        _NAMES,
        (),
        "The HTTP clients to instrument, of requests, urllib3, http.client, httpx and aiohttp; one"
        " named here that can't be instrumented is an error.",
        _INSTRUMENTATION,
        default_shown="all",
    ),
    Setting(
        "LUPIS_DISABLED_INSTRUMENTATIONS",
        Names(*_CLIENTS),
        (),
        "The HTTP clients not to instrument, by the same names.",
        _INSTRUMENTATION,
    ),
    Setting(
        "LUPIS_EXCLUDED_URLS",
        Regexes(),
        (),
        "Regular expressions with commas between them: a call whose URL one of them finds gets no"
        " span.",
        _INSTRUMENTATION,
    ),
    Setting(
        "LUPIS_JOIN_PROVIDER",
        _FLAG,
        False,
        "Feed the TracerProvider that the program sets up, too.",
        _INSTRUMENTATION,
    ),
    Setting(
        "LUPIS_PROVIDER_HOSTS",
        ProviderHosts(),
        {},
        "Gateways, private endpoints and test servers, with the provider whose API they speak:"
        " llm.corp.example:8443=openai,…",
        _INSTRUMENTATION,
    ),
    Setting(
        "LUPIS_PRICES_FILE",
        File(),
        None,
        "A JSON file of prices of your own, in USD per million tokens, that come before the"
        " catalogue's.",
        _COST,
    ),
    Setting(
        "LUPIS_INSTRUMENT_CHILDREN",
        _FLAG,
        True,
        "Instrument Python child processes too.",
        _PROCESS,
        in_config=False,
    ),
    Setting(
        "LUPIS_SUMMARY",
        OptionalFlag(),
        None,
        "Totals on stderr when the program ends; auto: when stderr is a terminal.",
        _PROCESS,
        default_shown="auto",
    ),
    Setting(
        "LUPIS_DATA_DIR",
        File(),
        None,
        "The folder that undelivered and local data lies in, and the key of derived chat ids.",
        _PROCESS,
        default_shown="the platform's folder for user data",
    ),
    Setting(
        "LUPIS_STORE_MAX_MB",
        Megabytes(),
        256.0,
        "What the local store may take up, in MiB; beyond it the oldest data goes first.",
        _PROCESS,
    ),
    Setting(
        "LUPIS_DURABLE",
        _FLAG,
        False,
        "Store each span as it ends, so that not even SIGKILL loses one.",
        _PROCESS,
    ),
    Setting(
        "LUPIS_SHUTDOWN_TIMEOUT",
        Seconds(),
        3.0,
        "The most that the end of the program may wait for delivery, in seconds.",
        _PROCESS,
    ),
    Setting(
        "LUPIS_LOG_LEVEL",
        Choice("debug", "info", "warning", "error", "critical"),
        "warning",
        "The least severe line of our own that is written to stderr.",
        _PROCESS,
        in_config=False,
    ),
)

BY_NAME = {row.name: row for row in SETTINGS}

_NOT_SETTINGS = frozenset({_semconv.ENV_RUN_ID, _semconv.ENV_LAUNCHER_SITE, _semconv.ENV_LEADER})


def read(
    environ: Mapping[str, str],
    *,
    lenient: bool,
    item_checks: ItemChecks | None = None,
    labels: Mapping[str, str] | None = None,
) -> Reading:
    """What `environ` says of every setting; a variable that is empty is not set.

    Args:
        environ: the variables.
        lenient: whether the program runs on in spite of a wrong value; the message then says
            with what.
        item_checks: checks of list items that this floor of the package can't know.
        labels: by variable, what to call it where an option has set it.
    """
    reader = Reader(environ, lenient, item_checks or {}, labels or {})
    for row in SETTINGS:
        reader.read(row)
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in _NOT_SETTINGS:
            reader.warn_if_unknown(variable, SETTINGS)
    return reader.reading


def derive_events_endpoint(otlp_endpoint: str) -> str | None:
    """Where events go when spans go to `otlp_endpoint`; None where no rule says so.

    `…/api/traces`, the Lupis collector, takes events at `…/api/events`; an OTLP endpoint,
    `…/v1/traces`, takes them as log records at `…/v1/logs` (OTLP/HTTP, default paths).
    """
    path, mark, query = otlp_endpoint.partition("?")
    path = path.rstrip("/")
    for of_spans, of_events in (("/api/traces", "/api/events"), ("/v1/traces", "/v1/logs")):
        if path.endswith(of_spans):
            return path[: -len(of_spans)] + of_events + mark + query
    return None


def settings_table() -> str:
    """The README's table, in Markdown."""
    lines = ["| variable | option | `LupisConfig` | default | meaning |", "|---|---|---|---|---|"]
    for row in SETTINGS:
        variables = " or ".join(f"`{name}`" for name in (row.variable, *row.aliases))
        field = f"`{row.name}`" if row.in_config else ""
        default = row.default_shown if " " in row.default_shown else f"`{row.default_shown}`"
        cells = (variables, f"`{row.option}`", field, default, row.meaning.replace("|", "\\|"))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(settings_table())
