"""Switches on the instrumentation of each HTTP client when the program first uses it.

Three steps, each as late as possible:

1. At start only an import hook is set (`import_hook`).
2. When the program imports a client, the client's adapter in `clients/` wraps the methods that make
   requests, and the objects that the bytes pass through.
3. At the first request, OpenTelemetry is loaded and the client's instrumentor is put between the
   outer half of the wrapper and the client's own function (`activation`, `wrapping`).

Inside the client's own function the span that the program made is current again, because the
program's hooks and transports run there. The span of the request is kept beside it in the context.
"""
