"""A store to read, and the command `lupis`."""

from servers.recorded import (  # noqa: F401 - fixtures
    doctor,
    lupis,
    make_filler,
    other_store,
    start_lupis,
    store,
)
