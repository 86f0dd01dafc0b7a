"""The command `lupis-run`."""
