"""A store to read, and the command `lupis`."""

import pytest
from servers.recorded import lupis, other_store, start_lupis, store  # noqa: F401 - fixtures


@pytest.fixture
def ask(store):  # noqa: F811 - the fixture
    """Puts a question to the store: calls a function with the connection and the arguments."""
    return lambda question, *arguments, **options: store.store.database.run(
        lambda db: question(db, *arguments, **options)
    )
