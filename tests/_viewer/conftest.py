"""A viewer over a store, in this process, and a browser that has opened it."""

import pytest
from servers.recorded import other_store, store  # noqa: F401 - fixtures
from servers.viewer import serve


@pytest.fixture
def stranger(store):  # noqa: F811 - the fixture
    """A client of a viewer that has not opened the page."""
    with serve(store.file) as browser:
        yield browser


@pytest.fixture
def browser(stranger):
    """A browser with the page open."""
    stranger.open()
    return stranger
