"""`lupis ui`: opens the page over the store, and receives spans and events of any program."""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread
from typing import TYPE_CHECKING, Any, Iterator

import click

from lupis_instrument._cli.lupis.tables import write_line
from lupis_instrument._semconv import ENV_UI_TOKEN

if TYPE_CHECKING:
    from lupis_instrument._viewer.server import ViewerServer
    from lupis_instrument._viewer.viewer import Viewer

_PORT, _OTLP_PORT, _MAX_PORT = 9009, 4318, 65_535
_TRIED_PORTS = 20
_MIN_TOKEN_LENGTH = 16
_DEFAULT_HOST = "127.0.0.1"


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, _MAX_PORT),
    metavar="N",
    help="The port; by default 9009, where programs look for it, or the next free one.",
)
@click.option("--no-browser", is_flag=True, help="Do not open the browser.")
@click.option("--otlp", is_flag=True, help="Receive spans at port 4318 of OTLP/HTTP too.")
@click.option("--read-only", is_flag=True, help="Receive nothing, and only show the store.")
@click.option(
    "--host",
    default=_DEFAULT_HOST,
    metavar="ADDRESS",
    help="The address to listen at, such as 0.0.0.0 in a container; needs --token.",
)
@click.option(
    "--token",
    envvar=ENV_UI_TOKEN,
    metavar="TEXT",
    help="A token of your choice that opens the page, of 16 characters or more.",
)
@click.option("--demo", is_flag=True, help="Show made-up data instead of your store.")
def ui(  # noqa: PLR0917 - click passes them by name
    port: int | None,
    no_browser: bool,
    otlp: bool,
    read_only: bool,
    host: str,
    token: str | None,
    demo: bool,
) -> None:
    """Open a page with your LLM calls in the browser.

    The page is live while programs run. Programs under lupis-run find it by themselves. Any other
    program can send it spans by OTLP/HTTP. It listens on this machine only, until Ctrl-C.
    """
    _check_token(host, token)
    if demo:
        from lupis_instrument._viewer.demo import make_demo_store

        with make_demo_store() as path:
            _serve(_make_viewer(path, host, token, receives=False), port, no_browser, otlp=False)
        return
    from lupis_instrument._query.store_reader import find_store_path

    viewer = _make_viewer(find_store_path(), host, token, receives=not read_only)
    _serve(viewer, port, no_browser, otlp=otlp and not read_only)


def _check_token(host: str, token: str | None) -> None:
    """Refuse an address that others can reach without a token."""
    from lupis_instrument._viewer.guards import is_loopback

    if token is not None and len(token) < _MIN_TOKEN_LENGTH:
        raise click.UsageError(f"--token: expected {_MIN_TOKEN_LENGTH} characters or more")
    if token is None and not is_loopback(host):
        raise click.UsageError(
            f"--host {host} needs --token TEXT: other machines can reach this address, and the"
            " token keeps them from reading your data"
        )


def _make_viewer(path: Any, host: str, token: str | None, *, receives: bool) -> Viewer:
    from lupis_instrument._viewer.lazy_receiver import LazyReceiver
    from lupis_instrument._viewer.viewer import Viewer

    return Viewer(path, host=host, token=token, receiver=LazyReceiver() if receives else None)


def _serve(viewer: Viewer, port: int | None, no_browser: bool, *, otlp: bool) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server = _listen(viewer, port)
        servers = [server, *([_listen_otlp(viewer)] if otlp else [])]
        for line in _describe(viewer, server, servers[1:]):
            write_line(line)
        sys.stdout.flush()
        for other in servers[1:]:
            Thread(target=other.serve_forever, daemon=True).start()
        if not no_browser and _has_browser():
            Thread(target=_open_browser, args=(_make_url(server),), daemon=True).start()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.request_stop)
        server.serve_until_stopped()
    except KeyboardInterrupt:
        pass  # Ctrl-C is the way to end it
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        viewer.close()


def _listen(viewer: Viewer, port: int | None) -> ViewerServer:
    """Return a server at the port, or at the first free port from 9009 on."""
    from lupis_instrument._viewer.server import ViewerServer

    ports = range(_PORT, _PORT + _TRIED_PORTS) if port is None else (port,)
    problem: OSError | None = None
    for number in ports:
        try:
            return ViewerServer(viewer, number)
        except OSError as error:
            problem = error
    raise click.ClickException(f"cannot listen at {viewer.host}:{ports[0]}: {problem}")


def _listen_otlp(viewer: Viewer) -> ViewerServer:
    from lupis_instrument._viewer.server import ViewerServer

    try:
        return ViewerServer(viewer, _OTLP_PORT, has_pages=False)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen at port {_OTLP_PORT} for --otlp: {error}; another collector may run"
        ) from None


def _make_url(server: ViewerServer) -> str:
    return f"{_make_base(server)}/?token={server.viewer.sessions.make_token()}"


def _make_base(server: ViewerServer) -> str:
    from lupis_instrument._viewer.guards import ALL_ADDRESSES

    host = server.viewer.host
    host = _DEFAULT_HOST if host in ALL_ADDRESSES else f"[{host}]" if ":" in host else host
    return f"http://{host}:{server.port}"


def _describe(viewer: Viewer, server: ViewerServer, others: list[ViewerServer]) -> Iterator[str]:
    """Yield the lines that say where the page is, and how programs send spans to it."""
    yield f"lupis ui: {_make_url(server)}"
    if "SSH_CONNECTION" in os.environ:
        port = server.port
        yield f"On your own machine run: ssh -N -L {port}:127.0.0.1:{port} {_name_machine()}"
    if viewer.receiver is None:
        yield "It receives nothing. Ctrl-C ends it."
        return
    endpoint = f"{_make_base(server)}/api/traces"
    if server.port == _PORT:
        yield "Programs under lupis-run send here by themselves; others by OTLP/HTTP to"
    else:
        yield f"Port {_PORT} is not used. To send here, set LUPIS_OTLP_ENDPOINT={endpoint}, or"
        yield "for other programs"
    yield f"  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT={_make_base(server)}/v1/traces"
    for other in others:
        yield f"  or OTEL_EXPORTER_OTLP_ENDPOINT={_make_base(other)}"
    yield "Ctrl-C ends it."


def _name_machine() -> str:
    """Return user and address of this machine for the command `ssh`."""
    import getpass

    words = os.environ["SSH_CONNECTION"].split()  # client, its port, server, its port
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "USER"
    return f"{user}@{words[2]}" if len(words) > 2 else f"{user}@HOST"  # noqa: PLR2004


def _has_browser() -> bool:
    """Return whether a browser can open on the screen of the user."""
    if "SSH_CONNECTION" in os.environ or not sys.stdout.isatty():
        return False
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_browser(url: str) -> None:
    import webbrowser

    try:
        webbrowser.open(url)
    except Exception:  # the printed line is there as well
        return
