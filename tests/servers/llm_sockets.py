"""LLM APIs whose requests and responses are messages on a WebSocket."""

from __future__ import annotations

import contextlib
import json
import socket as sockets
import threading
from typing import Any, Iterator

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

PREFIX = "/ws/google.ai.generativelanguage.v1beta.GenerativeService."
PATHS = {
    "responses": "/v1/responses",
    "realtime": "/v1/realtime?model=gpt-realtime",
    "live": f"{PREFIX}BidiGenerateContent",
    "other": "/chat",
}
SECRET = "the quick brown fox"
USAGE = {
    "input_tokens": 120,
    "input_tokens_details": {"cached_tokens": 100},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 140,
}
REALTIME_USAGE = {
    "total_tokens": 150,
    "input_tokens": 100,
    "output_tokens": 50,
    "input_token_details": {
        "text_tokens": 40,
        "audio_tokens": 60,
        "cached_tokens": 32,
        "cached_tokens_details": {"text_tokens": 16, "audio_tokens": 16},
    },
    "output_token_details": {"text_tokens": 10, "audio_tokens": 40},
}
LIVE_USAGE = {
    "promptTokenCount": 30,
    "responseTokenCount": 12,
    "totalTokenCount": 42,
    "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 25}],
    "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 12}],
}


def make_events(request: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Return the events of one response of the Responses API."""
    response = {"object": "response", "id": f"resp_{number}", "model": request["model"]}
    lane = {"stream_id": request["stream_id"]} if "stream_id" in request else {}
    delta = {"type": "response.output_text.delta", "delta": SECRET, **lane}
    done = {**response, "status": "completed", "usage": {**USAGE, "output_tokens": 20 + number}}
    done["usage"]["total_tokens"] = 140 + number
    if request.get("metadata", {}).get("case") == "cancel":
        end = {"type": "response.cancelled", "response": {**response, "status": "cancelled"}}
    else:
        end = {"type": "response.completed", "response": done}
    first = {"type": "response.created", "response": response}
    return [{**first, **lane}, delta, delta, {**end, **lane}]


class Session:
    """One connected client."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.number = 0
        self.held: list[list[dict[str, Any]]] = []

    def send(self, event: dict[str, Any]) -> None:
        """Send one event."""
        self.connection.send(json.dumps(event))

    def answer_responses(self, request: dict[str, Any]) -> None:
        """Answer as `request["metadata"]["case"]` says."""
        self.number += 1
        case = request.get("metadata", {}).get("case")
        events = make_events(request, self.number)
        if case == "error":
            error = {"type": "invalid_request_error", "code": "model_not_found", "message": SECRET}
            self.send({"type": "error", "status": 400, "error": error})
        elif case == "hold":
            self.held.append(events)
            if len(self.held) == 2:
                for pair in zip(*self.held):
                    for event in reversed(pair):
                        self.send(event)
        elif case == "fragments":
            for event in events:
                text = json.dumps(event)
                self.connection.send(iter([text[:20], text[20:30], text[30:]]))
        else:
            for event in events[: 2 if case in ("close", "lose", "stop") else None]:
                self.send(event)
            if case == "close":
                self.connection.close(1011, SECRET)
            elif case == "lose":
                self.connection.socket.shutdown(sockets.SHUT_RDWR)

    def answer_realtime(self, request: dict[str, Any]) -> None:
        """Answer a request for a response, and a buffer of sound that ends a turn."""
        if request["type"] not in ("response.create", "input_audio_buffer.commit"):
            return
        self.number += 1
        response = {"id": f"resp_{self.number}", "object": "realtime.response"}
        response["conversation_id"] = "conv_1"
        self.send({"type": "response.created", "response": response})
        delta = {"type": "response.output_audio.delta", "response_id": response["id"]}
        self.send({**delta, "delta": "AAAA" * 2000})
        transcript = {"type": "conversation.item.input_audio_transcription.completed"}
        usage = {"type": "tokens", "input_tokens": 7, "output_tokens": 7, "total_tokens": 14}
        self.send({**transcript, "transcript": SECRET, "usage": usage})
        done = {**response, "status": "completed", "usage": REALTIME_USAGE}
        self.send({"type": "response.done", "response": done})

    def answer_live(self, request: dict[str, Any]) -> None:
        """Answer a turn, in binary frames and with line breaks, as Google does."""
        if "setup" in request:
            messages: list[dict[str, Any]] = [{"setupComplete": {}}]
        elif {"turn_complete", "turnComplete"} & set(request.get("client_content", {})):
            turn = {"modelTurn": {"parts": [{"text": SECRET}]}}
            messages = [{"serverContent": turn}, {"serverContent": {"generationComplete": True}}]
            messages.append({"serverContent": {"turnComplete": True}, "usageMetadata": LIVE_USAGE})
        else:
            return
        for message in messages:
            self.connection.send(json.dumps(message, indent=2).encode())


def handle(connection: Any) -> None:
    """Serve one client."""
    session = Session(connection)
    path = connection.request.path
    if "realtime" in path:
        session.send({"type": "session.created", "session": {"model": "gpt-realtime"}})
    with contextlib.suppress(ConnectionClosed, OSError):
        for message in connection:
            request = json.loads(message)
            if "responses" in path:
                session.answer_responses(request)
            elif "realtime" in path:
                session.answer_realtime(request)
            elif "Bidi" in path:
                session.answer_live(request)
            else:
                connection.send(message)


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Serve on a free port; yields the URL without a path, such as ``ws://127.0.0.1:5000``."""
    with serve(handle, "127.0.0.1", 0, max_size=1 << 25) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield "ws://{}:{}".format(*server.socket.getsockname()[:2])
        server.shutdown()
        thread.join()
