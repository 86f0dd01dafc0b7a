"""Spans from their start until they are ready for export, in the order of a call.

    provider        makes the spans, and makes them current
    processor       decides when a span starts which HTTP call it reports; queues ended spans
    context         the chat id and metadata of the code that makes the call
    span_tree       the spans around the call, and waiting for their end
    propagation     trace headers, for the hosts that may receive them
    http_call       the request and the response, filled by the clients' adapters
    span_state      ties span and HTTP call together; the span ends after the response's body
    pipeline        edits an ended span, on the worker's thread; `stages/` has the steps
    span_forwarder  copies finished spans to tracer providers of the program

`events` makes the events of the SDK, `resource` the attributes that all spans share.
"""
