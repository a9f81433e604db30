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


@dataclass(frozen=True)
class Reply:
    """One scripted answer; ``body`` overrides the whole JSON, ``delay`` is in seconds."""

    content: str | None = None
    finish_reason: str = "stop"
    status: int = 200
    delay: float = 0.0
    body: bytes | None = None


def parts(*statements: tuple[str, list[int]], **options: Any) -> Reply:
    """A reply with statements and their citations."""
    listed = [{"text": text, "citations": citations} for text, citations in statements]
    return Reply(json.dumps({"parts": listed}, ensure_ascii=False), **options)


def refusal(reason: str) -> Reply:
    """A reply that refuses."""
    return Reply(json.dumps({"refusal": reason}))


@dataclass
class Endpoint:
    """What the server was asked, and what it will answer; the last answer is repeated."""

    url: str
    script: list[Reply] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def next(self) -> Reply:
        """The next answer of the script."""
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def endpoint(*script: Reply) -> Iterator[Endpoint]:
    """Serve ``script`` on a free port of this machine."""
    state = Endpoint(url="", script=list(script))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            state.requests.append(json.loads(self.rfile.read(length)))
            reply = state.next()
            time.sleep(reply.delay)
            body = reply.body if reply.body is not None else _body(reply)
            try:
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                return  # the client gave up waiting, which is what the test is about

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
        return json.dumps({"error": {"message": "scripted", "type": "scripted"}}).encode()
    choice = {
        "index": 0,
        "finish_reason": reply.finish_reason,
        "message": {"role": "assistant", "content": reply.content},
    }
    return json.dumps(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    ).encode()
