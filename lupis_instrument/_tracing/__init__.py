"""Spans from their start to their export."""
