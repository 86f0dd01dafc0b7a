"""A store to read, and the command `lupis`."""

from servers.recorded import doctor, lupis, other_store, start_lupis, store  # noqa: F401 - fixtures
