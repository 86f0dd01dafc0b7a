"""Token usage and other facts that a response reports."""
