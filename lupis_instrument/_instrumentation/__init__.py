"""Switches on the instrumentation of each HTTP client when the program first uses it.

Three steps, each as late as can be: at start only an import hook is set; when the program imports
a client, that client's adapter puts a small wrapper around its wire, and a door before it; when the
first request passes the door, OpenTelemetry is loaded and upstream's instrumentor is laid between
door and wrapper. Inside the wrapper the current span is the program's again, for much of a program
may run there; the request's own stands beside it.
"""
