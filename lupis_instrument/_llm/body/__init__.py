"""Decodes and parses the bodies of requests and responses, and reads the facts of a call."""
