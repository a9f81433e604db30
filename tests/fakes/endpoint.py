"""A real HTTP server on a free port that speaks the OpenAI chat protocol with scripted answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PIECE = 24
"""Characters of a streamed piece."""


@dataclass(frozen=True)
class Reply:
    """One scripted answer; ``delay`` before it and ``pause`` between its pieces in seconds.

    ``body`` overrides the whole JSON, ``said`` is the message of an error status, ``cut`` ends the
    connection before the end, ``trouble`` is an error told within the stream; ``usage`` are the
    tokens of prompt and answer that the stream ends with.
    """

    content: str | None = None
    finish_reason: str = "stop"
    status: int = 200
    delay: float = 0.0
    body: bytes | None = None
    said: str = "scripted"
    pause: float = 0.0
    cut: bool = False
    trouble: str = ""
    usage: tuple[int, int] | None = None


def parts(*statements: tuple[str, list[int]], **options: Any) -> Reply:
    """A reply with statements and their citations."""
    listed = [{"text": text, "citations": citations} for text, citations in statements]
    return Reply(json.dumps({"parts": listed}, ensure_ascii=False), **options)


def picks(**chosen: list[int]) -> Reply:
    """A reply in the form ``select``: ``picks(q1=[2])``."""
    return Reply(json.dumps({name.removeprefix("q"): found for name, found in chosen.items()}))


def refusal(reason: str) -> Reply:
    """A reply that refuses."""
    return Reply(json.dumps({"refusal": reason}))


@dataclass
class Endpoint:
    """What the server was asked, and what it will answer; the last answer is repeated."""

    url: str
    script: list[Reply] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    traces: list[str | None] = field(default_factory=list)
    """The header ``traceparent`` of each request."""
    busy: int = 0
    busiest: int = 0
    """Most requests at once."""

    def next(self) -> Reply:
        """The next answer of the script."""
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def endpoint(*script: Reply) -> Iterator[Endpoint]:
    """Serve ``script`` on a free port of this machine."""
    state = Endpoint(url="", script=list(script))

    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            asked = json.loads(self.rfile.read(length))
            with lock:
                state.requests.append(asked)
                state.traces.append(self.headers.get("traceparent"))
                reply = state.next()
                state.busy += 1
                state.busiest = max(state.busiest, state.busy)
            try:
                time.sleep(reply.delay)
                if asked.get("stream") and reply.status == 200 and reply.body is None:
                    self._stream(reply)
                else:
                    self._whole(reply)
            except (BrokenPipeError, ConnectionResetError):
                return  # the client gave up waiting, which is what the test is about
            finally:
                with lock:
                    state.busy -= 1

        def _whole(self, reply: Reply) -> None:
            body = reply.body if reply.body is not None else _body(reply)
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, reply: Reply) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Connection", "close")  # else a client may ask again on it
            self.end_headers()
            for event in _events(reply):
                self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
                self.wfile.flush()
                time.sleep(reply.pause)
            if not reply.cut:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _body(reply: Reply) -> bytes:
    if reply.status != 200:
        return json.dumps({"error": {"message": reply.said, "type": "scripted"}}).encode()
    choice = {
        "index": 0,
        "finish_reason": reply.finish_reason,
        "message": {"role": "assistant", "content": reply.content},
    }
    return json.dumps(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    ).encode()


def _events(reply: Reply) -> Iterator[bytes]:
    """Server-sent events: the text in pieces, the reason of the end, ``[DONE]``."""
    text = reply.content or ""
    for start in range(0, len(text), PIECE):
        yield _event({"index": 0, "delta": {"content": text[start : start + PIECE]}})
    if reply.trouble:
        told = {"error": {"message": reply.trouble, "type": "scripted", "code": 500}}
        yield f"data: {json.dumps(told)}\n\n".encode()
    if not reply.cut:
        yield _event({"index": 0, "delta": {}, "finish_reason": reply.finish_reason})
        if reply.usage:
            asked, answered = reply.usage
            counted = {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": 0}
            yield _chunk({"choices": [], "usage": counted})
        yield b"data: [DONE]\n\n"


def _event(choice: dict[str, Any]) -> bytes:
    return _chunk({"choices": [choice]})


def _chunk(told: dict[str, Any]) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps(chunk | told)}\n\n".encode()
