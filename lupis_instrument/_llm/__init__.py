"""Reads provider, model, ids and token usage out of the exchanges of LLM APIs.

Pure: bytes and mappings in, tuples out; no I/O, no HTTP client, no OpenTelemetry, no environment.
`endpoints.identify` tells whether a request goes to an LLM API, `bodies.BodyReader` watches the
response's body while the program reads it: the program waits for these two, and what they import.
`digest.digest` afterwards says what the exchange was.
"""
