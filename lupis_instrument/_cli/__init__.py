"""The commands: `run` is `lupis-run`, and `lupis` is `lupis`."""
