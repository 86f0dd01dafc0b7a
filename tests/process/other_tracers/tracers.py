"""Sets up other tracers of a program; each function returns the exporter of the tracer, or None."""

import importlib
import os

INSTRUMENTORS = (
    "requests.RequestsInstrumentor",
    "urllib3.URLLib3Instrumentor",
    "urllib.URLLibInstrumentor",
    "httpx.HTTPXClientInstrumentor",
    "aiohttp_client.AioHttpClientInstrumentor",
    "botocore.BotocoreInstrumentor",
)


def set_global_provider():
    """Sets a provider of the program as the global one; returns the exporter with its spans."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    trace.set_tracer_provider(provider)
    return keep_spans(provider)


def keep_spans(provider):
    """Adds an exporter in memory to a provider, and returns the exporter."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


def instrument(**options):
    """Switches on each instrumentor of upstream whose client is installed."""
    for path in INSTRUMENTORS:
        module, _, name = path.partition(".")
        try:
            module = importlib.import_module(f"opentelemetry.instrumentation.{module}")
        except ImportError:
            continue
        getattr(module, name)().instrument(**options)


def none():
    """There is no other tracer."""
    return


def own_instrumentors():
    exporter = set_global_provider()
    instrument()
    return exporter


def own_instrumentors_without_provider():
    instrument()


def own_provider_given():
    """The provider is an argument of the instrumentors, and not the global one."""
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    exporter = keep_spans(provider)
    instrument(tracer_provider=provider)
    return exporter


def own_provider_that_samples_nothing():
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    provider = TracerProvider(sampler=ALWAYS_OFF)
    trace.set_tracer_provider(provider)
    instrument()
    return keep_spans(provider)


def sentry():
    import sentry_sdk

    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0)


def logfire():
    import logfire
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    logfire.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[SimpleSpanProcessor(exporter)],
    )
    for name in ("requests", "httpx", "aiohttp_client", "openai", "anthropic", "litellm"):
        try:
            getattr(logfire, f"instrument_{name}")()
        except (ImportError, RuntimeError):
            pass  # its client is not installed
    return exporter


def openlit():
    import openlit

    exporter = set_global_provider()
    openlit.init(disable_metrics=True)
    return exporter


def traceloop():
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from traceloop.sdk import Traceloop

    exporter = InMemorySpanExporter()
    Traceloop.init(exporter=exporter, disable_batch=True, telemetry_enabled=False)
    return exporter


def openllmetry():
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    exporter = set_global_provider()
    OpenAIInstrumentor().instrument()
    return exporter


def openllmetry_and_instrumentors():
    exporter = openllmetry()
    instrument()
    return exporter


def openai_v2():
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    exporter = set_global_provider()
    OpenAIInstrumentor().instrument()
    return exporter


def openai_v2_and_instrumentors():
    exporter = openai_v2()
    instrument()
    return exporter


def openinference():
    from openinference.instrumentation.openai import OpenAIInstrumentor

    exporter = set_global_provider()
    OpenAIInstrumentor().instrument()
    return exporter


def openinference_and_instrumentors():
    exporter = openinference()
    instrument()
    return exporter


def ddtrace():
    os.environ.setdefault("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false")
    os.environ.setdefault("DD_TRACE_AGENT_URL", "http://127.0.0.1:9")
    os.environ.setdefault("DD_REMOTE_CONFIGURATION_ENABLED", "false")
    importlib.import_module("ddtrace.auto")


def opentelemetry_instrument():
    """The command `opentelemetry-instrument` starts this program and has set the provider."""
    from opentelemetry import trace

    return keep_spans(trace.get_tracer_provider())
