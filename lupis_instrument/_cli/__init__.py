"""The commands `lupis-run` and `lupis`."""
