"""The server of `lupis ui`."""

from threading import Thread

from lupis_instrument._viewer.server import ViewerServer
from lupis_instrument._viewer.viewer import Viewer


def test_server_stops_when_a_signal_asks_for_it(tmp_path):
    """Its handler raises nothing, for that could be lost while a thread starts."""
    with ViewerServer(Viewer(tmp_path / "store.db"), 0) as server:
        thread = Thread(target=server.serve_until_stopped, daemon=True)
        thread.start()
        thread.join(0.1)
        was_serving = thread.is_alive()
        server.request_stop(15, None)
        thread.join(30)
        assert (True, False) == (was_serving, thread.is_alive())
