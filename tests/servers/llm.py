"""Imports the server of the examples that acts like an LLM provider."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from fake_llm import Server, listening

__all__ = ["Server", "listening"]
