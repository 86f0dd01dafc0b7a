"""The parts that all servers of one `lupis ui` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lupis_instrument._viewer.readers import AnswerCache
from lupis_instrument._viewer.session import Sessions
from lupis_instrument._viewer.stream import Streams

if TYPE_CHECKING:
    from pathlib import Path

    from lupis_instrument._viewer.replies import Receiver


class Viewer:
    """The parts that all servers of one `lupis ui` share.

    Attributes:
        path: the path of the store; None without a data folder.
        host: the name or address that the servers listen at.
        receiver: takes spans and events; None for a viewer that only reads.
        sessions: the tokens and the sessions.
        cache: the answers that are kept.
        streams: the open streams.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        host: str = "127.0.0.1",
        token: str | None = None,
        receiver: Receiver | None = None,
    ) -> None:
        """Make the parts.

        Args:
            path: the path of the store; None without a data folder.
            host: the name or address that the servers listen at.
            token: the token that the user has chosen; None for tokens that work once.
            receiver: takes spans and events; None to refuse them.
        """
        self.path = path
        self.host = host
        self.receiver = receiver
        self.sessions = Sessions(token)
        self.cache = AnswerCache(path)
        self.streams = Streams()

    def close(self) -> None:
        """End the streams, and close the receiver."""
        self.streams.end_all()
        if self.receiver is not None:
            self.receiver.close()
