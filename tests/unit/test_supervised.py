"""What the supervisor tells of a service that starts slowly."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from deploy.local.process import free_ports
from deploy.local.service import Supervised, readiness

SAYS = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

class Says(BaseHTTPRequestHandler):
    def do_GET(self):
        body = Path(sys.argv[2]).read_bytes()
        self.send_response(200 if b'"ready": true' in body else 503)
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("127.0.0.1", int(sys.argv[1])), Says).serve_forever()
"""


async def test_why_a_service_is_not_ready_is_told_whenever_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    file = tmp_path / "readyz"
    told: list[tuple[str, str]] = []
    heard = asyncio.Event()

    def changed(service: Supervised) -> None:
        told.append((service.state, service.problem))
        heard.set()

    def says(ready: bool, state: str, **problems: str) -> None:
        fresh = tmp_path / "fresh"
        fresh.write_text(json.dumps({"ready": ready, "state": state, "problems": problems}))
        fresh.replace(file)

    async def until(last: tuple[str, str]) -> None:
        async with asyncio.timeout(20):
            while told[-1:] != [last]:
                await heard.wait()
                heard.clear()

    assert readiness(f"http://127.0.0.1:{port}")["state"].startswith("no answer at http")
    service = Supervised("slow", "slow", port, {}, tmp_path, changed)
    monkeypatch.setattr(service, "_command", lambda: [sys.executable, "-c", SAYS, str(port), file])
    says(False, "waiting for database: refused")
    keeping = asyncio.create_task(service.keep())
    try:
        await until(("starting", "waiting for database: refused"))
        says(False, "running", database="too slow")
        await until(("starting", "database: too slow"))
        says(True, "running")
        await until(("running", ""))
        assert told[0] == ("starting", "")
        assert len(told) == len(set(told)), "each once"
    finally:
        await service.stop(5)
        keeping.cancel()
