"""The first call of a program with greenlets loads modules in small parts."""

import json

import pytest

MAX_MODULES = 90
"""About a third of all; one part may be asyncio with all of its modules."""
COUNT_MODULES = """
import http.client, json, sys
from importlib import import_module
import lupis_instrument._runtime.import_callbacks
from lupis_instrument._runtime.first_modules import FIRST_MODULES
counts, missing = [], []
for name in FIRST_MODULES:
    before = len(sys.modules)
    try:
        import_module(name)
    except ImportError:
        missing.append(name)
    counts.append(len(sys.modules) - before)
from lupis_instrument._runtime import current
before = len(sys.modules)
current.start_runtime()
counts.append(len(sys.modules) - before)
print(json.dumps([counts, missing]))
"""


@pytest.fixture
def loaded(run_code):
    """The modules that each part loads and the start of the runtime after them; missing parts."""
    return json.loads(run_code(COUNT_MODULES).output)


def test_each_part_loads_few_modules(loaded):
    """The start of the runtime, after all parts, is one more."""
    counts, _ = loaded
    assert max(counts) <= MAX_MODULES


def test_each_part_exists(loaded):
    """A name that has become wrong would make the next part larger."""
    assert [] == loaded[1]
