"""A store to report on, and the command `lupis`."""

from servers.recorded import lupis, other, start, store  # noqa: F401 - fixtures
