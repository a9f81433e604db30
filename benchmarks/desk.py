"""The desk with 50,000 drafts: its queue, pages that follow live, the export of the datasets.

feedback runs as a process of its own on the embedded PostgreSQL, NATS and S3 servers, in a folder
of its own. The page is asked for one request after another, then four at once, while the given
number of pages follow live. Fan-out is the time from a committed change until the last page heard
of it. The export is the program itself, its memory that of all its processes together. A machine
that does something else meanwhile spoils the times (see the load). Looking
for personal data takes the time of an export; what it needs per pair shows with fewer, too.

    python -m benchmarks.desk [--drafts 50000] [--followers 200] [--pairs 10000] [--workers 1]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil

from benchmarks.desk_ground import MIB, Ground
from benchmarks.desk_rows import DRAFTS, MAILS, REVIEWS, base
from benchmarks.report import percentile, report
from services.feedback.desk.cookies import SESSION

PAGES = {
    "queue": "/desk/drafts",
    "mailbox": "/desk/drafts?mailbox=box-3",
    "category": "/desk/drafts?category=cat-2",
    "older than 3 days": "/desk/drafts?days=3",
    "text": "/desk/drafts?q=PREALABLE+12",
    "checks": "/desk/drafts?flag=checks",
    "decided": "/desk/drafts?view=decided",
    "decided text": "/desk/drafts?view=decided&q=prealable+12",
}
AIMS = {"queue p95 ms": "≤ 150", "export MiB": "≤ 1024"}


async def fill(dsn: str, drafts: int, judged: bool) -> None:
    """Rows as feedback leaves them: a fifth waits unless all are ``judged``."""
    db = await asyncpg.connect(dsn)
    mail, draft = base()
    # Nobody is told of each row.
    await db.execute("set session_replication_role = replica")
    await db.execute("truncate feedback.mails cascade")
    await db.execute(MAILS, drafts, json.dumps(mail), timeout=900)
    await db.execute(DRAFTS, json.dumps(draft), judged, timeout=900)
    if judged:
        await db.execute(REVIEWS, timeout=900)
    await db.execute("vacuum analyze", timeout=900)
    await db.close()


async def sign_in(dsn: str) -> dict[str, str]:
    token = secrets.token_urlsafe(24)
    db = await asyncpg.connect(dsn)
    await db.execute(
        "insert into feedback.sessions (token_sha256, account, csrf, created, expires)"
        " values ($1, 'agent', 'csrf', now(), now() + interval '8 hours')",
        sha256(token.encode()).digest(),
    )
    await db.close()
    return {SESSION: token}


async def timed(client: httpx.AsyncClient, path: str, count: int) -> list[float]:
    """Milliseconds of ``count`` requests, one after the other."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        answer = await client.get(path, headers={"Accept": "text/html"})
        taken.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, answer.text[:300]
        assert 'class="item"' in answer.text, path
    return taken


class Followers:
    """Pages that follow live."""

    def __init__(self, client: httpx.AsyncClient, count: int) -> None:
        self._client = client
        self.heard: list[float] = []
        self.open = 0
        self.all_open = asyncio.Event()
        self._count = count

    async def run(self) -> None:
        await asyncio.gather(*(self._follow() for _ in range(self._count)))

    async def _follow(self) -> None:
        async with self._client.stream("GET", "/desk/live", timeout=None) as stream:
            assert stream.status_code == 200
            self.open += 1
            if self.open == self._count:
                self.all_open.set()
            async for line in stream.aiter_lines():
                if line.startswith("event: lock"):
                    self.heard.append(time.perf_counter())


async def fan_out(db: asyncpg.Connection[asyncpg.Record], pages: Followers) -> list[float]:
    """Milliseconds until the last page heard, of some changes."""
    taken = []
    draft = await db.fetchval("select draft_id from feedback.drafts where mailbox = 'box-1'")
    for number in range(20):
        pages.heard.clear()
        began = time.perf_counter()
        if number % 2:
            await db.execute("delete from feedback.locks")
        else:
            await db.execute(
                "insert into feedback.locks values ($1, 'b', 'B', now(), now())", draft
            )
        while len(pages.heard) < pages.open:
            await asyncio.sleep(0.005)
            assert time.perf_counter() - began < 30, f"{len(pages.heard)} of {pages.open} heard"
        taken.append((max(pages.heard) - began) * 1000)
    return taken


async def look(ground: Ground, followers: int, count: int) -> dict[str, object]:
    """Figures of the queue and of pages that follow."""
    dsn = ground.database.dsn()
    cookies = await sign_in(dsn)
    limits = httpx.Limits(max_connections=None)
    client = httpx.AsyncClient(base_url=ground.url, cookies=cookies, limits=limits, timeout=60)
    await timed(client, PAGES["queue"], 10)
    figures: dict[str, object] = {}
    quiet = ground.memory()
    pages = Followers(client, followers)
    following = asyncio.create_task(pages.run())
    await asyncio.wait_for(pages.all_open.wait(), 60)
    figures["MiB of feedback"] = round(quiet, 1)
    figures[f"MiB more with {followers} pages"] = round(ground.memory() - quiet, 1)
    for name, path in PAGES.items():
        taken = await timed(client, path, count)
        figures[f"{name} p50 ms"] = round(percentile(taken, 0.5), 1)
        figures[f"{name} p95 ms"] = round(percentile(taken, 0.95), 1)
    four = await asyncio.gather(*(timed(client, PAGES["queue"], count) for _ in range(4)))
    figures["queue, four at once, p95 ms"] = round(
        percentile([ms for each in four for ms in each], 0.95), 1
    )
    db = await asyncpg.connect(dsn)
    delays = await fan_out(db, pages)
    figures["fan-out p50 ms"] = round(percentile(delays, 0.5), 1)
    figures["fan-out p95 ms"] = round(percentile(delays, 0.95), 1)
    await db.close()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await client.aclose()
    return figures


def export(ground: Ground, pairs: int, workers: int) -> dict[str, object]:
    """Figures of `python -m services.feedback.export`."""
    out = ground.folder / "out"
    words = ["-m", "services.feedback.export", "dpo", "--out", str(out), "--workers", str(workers)]
    began = time.monotonic()
    running = subprocess.Popen(
        [sys.executable, *words], env=ground.environment(), stdout=subprocess.PIPE, text=True
    )
    sizes: list[float] = []
    while running.poll() is None:
        sizes.append(_size(running.pid))
        time.sleep(0.2)
    told = running.stdout.read() if running.stdout else ""
    assert running.returncode == 0, told
    rows: Any = json.loads(told.splitlines()[-1])["rows"]
    return {
        "export rows": json.dumps(rows),
        "export seconds": round(time.monotonic() - began, 1),
        "export MiB": round(max(sizes)),
        # What grows with the rows would show here.
        "export MiB by quarters": str(
            [round(sizes[max(0, len(sizes) * n // 4 - 2)]) for n in (1, 2, 3, 4)]
        ),
        "export pairs": pairs,
    }


def _size(pid: int) -> float:
    """MiB of a process and its descendants; what they share counts for each."""
    try:
        process = psutil.Process(pid)
        every = (process, *process.children(recursive=True))
        return sum(each.memory_info().rss for each in every) / MIB
    except psutil.NoSuchProcess:
        return 0.0


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drafts", type=int, default=50_000)
    parser.add_argument("--followers", type=int, default=200)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument(
        "--pairs", type=int, default=10_000, help="0: no export; 100000 take a quarter of an hour"
    )
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    figures: dict[str, object] = {"drafts": asked.drafts, "load": os.getloadavg()[0]}
    with (
        tempfile.TemporaryDirectory(prefix="desk-") as name,
        Ground(Path(name)).running() as ground,
    ):
        dsn = ground.database.dsn()
        asyncio.run(fill(dsn, asked.drafts, judged=False))
        with ground.feedback():
            figures |= asyncio.run(look(ground, asked.followers, asked.requests))
        if asked.pairs:
            asyncio.run(fill(dsn, asked.pairs, judged=True))
            figures |= export(ground, asked.pairs, asked.workers)
    figures["load at the end"] = os.getloadavg()[0]
    report("desk", figures, AIMS)


if __name__ == "__main__":
    main()
