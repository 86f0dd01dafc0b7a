"""Who suppresses the span of a call."""

import subprocess
import sys
import types

from opentelemetry.context import get_current
from opentelemetry.instrumentation.utils import (
    is_http_instrumentation_enabled,
    suppress_http_instrumentation,
    suppress_instrumentation,
)

from lupis_instrument._instrumentation.suppression import (
    Suppression,
    find_suppression,
    unsuppressed,
)


def test_program_suppresses_all_spans():
    """`suppress_instrumentation` addresses this package too."""
    with suppress_instrumentation():
        assert Suppression.ALL is find_suppression()
    assert Suppression.NONE is find_suppression()


def test_suppression_by_an_outer_instrumentor_can_be_lifted():
    """The outer instrumentor's span is for its own provider only."""
    with suppress_http_instrumentation():
        assert Suppression.OUTER is find_suppression()
        with unsuppressed():
            assert is_http_instrumentation_enabled()
            assert Suppression.NONE is find_suppression()
        assert not is_http_instrumentation_enabled()


def test_lifting_changes_nothing_else():
    """The other values of the context are the same inside and after."""
    before = get_current()
    with suppress_http_instrumentation(), unsuppressed():
        assert dict(before) == dict(get_current())
    assert before is get_current()


def test_suppression_below_an_llm_span_is_an_outer_instrumentors():
    """An LLM library's instrumentor suppresses the spans of HTTP clients for its own trace."""
    span = types.SimpleNamespace(attributes={"gen_ai.operation.name": "chat"})
    with suppress_instrumentation():
        assert Suppression.OUTER is find_suppression(lambda _: span)


def test_nothing_is_suppressed_while_this_thread_imports_opentelemetry(monkeypatch):
    """A request that is made during the import finds a module without its functions."""
    half_loaded = types.ModuleType("opentelemetry.instrumentation.utils")
    monkeypatch.setitem(sys.modules, half_loaded.__name__, half_loaded)
    assert Suppression.NONE is find_suppression()


SLOW_IMPORT = """
import sys, threading, time
from lupis_instrument._instrumentation.suppression import Suppression, find_suppression
name = "opentelemetry.instrumentation.utils"
class Finder:
    def find_spec(self, wanted, path=None, target=None):
        if wanted != name:
            return None
        sys.meta_path.remove(self)
        import importlib.util
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def slowly(module):
            loading.set()
            time.sleep(0.2)
            execute(module)
        spec.loader.exec_module = slowly
        return spec
loading = threading.Event()
sys.meta_path.insert(0, Finder())
threading.Thread(target=__import__, args=(name,)).start()
loading.wait()
assert Suppression.NONE is find_suppression()
assert hasattr(sys.modules[name], "suppress_instrumentation")
"""


def test_request_waits_for_an_import_by_another_thread():
    """Otherwise the request would not be recorded."""
    command = [sys.executable, "-c", SLOW_IMPORT]
    assert 0 == subprocess.run(command, timeout=30, check=False).returncode
