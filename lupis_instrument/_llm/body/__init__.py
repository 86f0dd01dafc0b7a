"""Reads the bodies of requests and responses."""
