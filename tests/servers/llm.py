"""The examples' stand-in for an LLM provider, in the tests' process."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from fake_llm import Server, listening

__all__ = ["Server", "listening"]
