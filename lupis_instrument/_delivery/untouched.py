"""http.client as Python brings it along, whatever others have made of the one that is imported.

Tracers and test tools (vcrpy, for one) lay functions of theirs into its classes, or others in their
place. What we send is none of their business, and may carry the user's key.
"""

from __future__ import annotations

import http
from functools import lru_cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import Any

_NAME = "http.client"


@lru_cache(maxsize=None)
def client() -> Any:
    """Return a second copy of the module, which nobody else can find.

    Where there is no file to load it from, as in a program frozen into one, it is the first.
    """
    # By the path alone: finders that others have put before it may not find the original.
    spec = PathFinder.find_spec(_NAME, http.__path__)
    if spec is None or spec.loader is None:
        return import_module(_NAME)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
