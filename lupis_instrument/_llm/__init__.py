"""Reads provider, model, ids and token usage from the requests and responses of LLM APIs.

This package is pure: bytes and mappings go in, tuples come out. It does no I/O, reads no
environment and imports no HTTP client and no OpenTelemetry.

Two parts run while the program waits: `api.endpoints.identify_endpoint` returns the LLM API of a
request, and `body.body_reader.BodyReader` keeps the response's body while the program reads it.
All else runs afterwards: `body.digest.digest_call` reads the facts of the finished call.
"""
