"""Answers questions about recorded data: runs, calls, traces, totals.

Readers of the store (the command `lupis` today) call these modules and show the result. Nothing
below this folder knows about terminals or command lines.
"""
