"""Starts and stops instrumentation in this process."""
