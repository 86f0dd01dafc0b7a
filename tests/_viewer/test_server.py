"""The server of `lupis ui`."""

from lupis_instrument._viewer.server import ViewerServer
from lupis_instrument._viewer.viewer import Viewer


def test_server_stops_when_a_signal_asks_for_it(tmp_path):
    """Its handler raises nothing, for that could be lost while a thread starts."""
    with ViewerServer(Viewer(tmp_path / "store.db"), 0) as server:
        server.request_stop(15, None)
        server.serve_until_stopped()
