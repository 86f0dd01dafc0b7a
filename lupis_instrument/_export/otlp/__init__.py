"""Encodes spans and events as OTLP and sends them over HTTP."""
