"""What ``sourcier doctor`` asks of the broker, the index, the model and the services."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx

from shared import admin
from shared.bridge import Account, Bridge
from shared.cli.client import connected
from shared.cli.config import shown
from shared.cli.doctor_stores import SECONDS, qdrant
from shared.cli.findings import Finding, clock, ok, problem, skipped
from shared.cli.problem import Problem
from shared.cli.web import fetch, readiness
from shared.cli.where import Where
from shared.clock import utcnow
from shared.queries import EmbedAnswer, EmbedQuery
from shared.settings import Retrieval, Settings
from shared.topology import SAYS
from shared.tracing import ENDPOINTS

LEAST_NATS = (2, 12)
IMAP = {"tls": 993, "starttls": 143, "none": 143}
SMTP = {"tls": 465, "starttls": 587, "none": 25}
FULL = 0.8
"""Share of a stream's bytes from which it is a problem."""


async def broker(config: Settings) -> AsyncIterator[Finding]:
    """Reached, new enough, as the topology says, with room, and its clock; and embed behind it."""
    url = shown(config.nats.url)
    try:
        async with connected(config) as client:
            before = utcnow()
            version, told = await client.server()
            after = utcnow()
            words = ".".join(map(str, version))
            if version[:2] < LEAST_NATS:
                least = ".".join(map(str, LEAST_NATS))
                yield problem(
                    "broker", f"nats-server {words} at {url}", f"install {least} or later"
                )
            else:
                yield ok("broker", f"nats-server {words} at {url}")
            if told:
                yield clock("broker's clock", told, before, after)
            differences = await admin.check(config)
            for each in differences:
                yield problem("topology", each, "sourcier topology apply")
            if not differences:
                yield ok("topology", "streams and consumers are as they should be")
                figures = await client.figures()
                for finding in _streams(figures):
                    yield finding
            began = time.monotonic()
            answer = await client.ask(EmbedQuery(texts=("?",), sparse=False), EmbedAnswer, SECONDS)
            spent = time.monotonic() - began
            yield ok("embed", f"{answer.embedding} answers in {spent:.2f} s")
    except Problem as error:
        yield problem("broker", shown(str(error)), _advice(str(error)))


def _advice(words: str) -> str:
    if "query.embed" in words:
        return "start embed, or see its log: without it nothing is found"
    if "refuses us" in words:
        return "check nats.nkey_seed, or nats.user and nats.password"
    return "check nats.url, and that the broker runs"


def _streams(figures: dict[str, list[dict[str, Any]]]) -> list[Finding]:
    found = []
    for stream in figures["streams"]:
        most, name = stream["max_bytes"], stream["name"]
        if most > 0 and stream["bytes"] > FULL * most:
            told = f"{name} is {stream['bytes'] / most:.0%} full"
            advice = "see which consumer waits (sourcier status), or raise streams.max_bytes"
            found.append(problem("streams", told, advice))
        if name == "DEAD" and stream["messages"]:
            told = f"{stream['messages']} dead letters wait for a person"
            found.append(problem("dead letters", told, "sourcier dead-letters list"))
    return found or [ok("streams", "room in all of them, no dead letters")]


async def index(config: Retrieval, where: Where) -> AsyncIterator[Finding]:
    """The Qdrant server, when one is configured, and what retrieve's index holds."""
    if config.index == "server":
        yield await qdrant(config)
    try:
        told = fetch("GET", where.url("retrieve") + "/v1/index", SECONDS)
    except Problem as error:
        yield skipped("index", str(error))
        return
    serving = [e for e in told.get("embeddings", ()) if e["embedding"] == told.get("serving")]
    if serving and serving[0]["documents"]:
        held = f"{serving[0]['documents']} documents, {serving[0]['passages']} passages"
        yield ok("index", held)
    else:
        yield ok("index", "empty: every e-mail is declined until `sourcier add FOLDER`")


async def model(config: Settings) -> AsyncIterator[Finding]:
    """Each endpoint serves the configured model and generates a token."""
    wish = config.generation
    if not wish.endpoint or not wish.model:
        yield ok("model", "none is configured: drafts quote the passages")
        return
    key = wish.api_key.get_secret_value() if wish.api_key else ""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(timeout=wish.timeout, headers=headers) as client:
        for url in (part.strip().rstrip("/") for part in wish.endpoint.split(",")):
            yield await _endpoint(client, url, wish.model)


async def _endpoint(client: httpx.AsyncClient, url: str, model: str) -> Finding:
    topic, began = f"model at {shown(url)}", time.monotonic()
    asked = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "."}]}
    try:
        served = await client.get(f"{url}/models")
        names = [each["id"] for each in served.json()["data"]] if served.is_success else []
        answer = await client.post(f"{url}/chat/completions", json=asked)
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        advice = "check generation.endpoint (it ends in /v1), and that the server runs"
        return problem(topic, f"does not answer as it should ({type(error).__name__})", advice)
    if answer.is_success:
        return ok(topic, f"{model} generates, {time.monotonic() - began:.1f} s")
    if names and model not in names:
        return problem(topic, f"serves {', '.join(names)}", f"set generation.model, not {model!r}")
    told = f"answers {answer.status_code}: {answer.text[:200]}"
    return problem(topic, told, "check generation.api_key and model, and the server's log")


async def services(where: Where) -> AsyncIterator[Finding]:
    """``/readyz`` of each service whose address is known."""
    urls = {name: row["url"] for name, row in where.services.items()}
    for name in SAYS:
        if name not in urls and (given := os.environ.get(f"SOURCIER_{name.upper()}_URL")):
            urls[name] = given.rstrip("/")
    if not urls:
        yield skipped("services", "no address known: set SOURCIER_FEEDBACK_URL and its like")
    for name, url in urls.items():
        said = readiness(url)
        log = where.services.get(name, {}).get("log")
        look = f"its log: {log}" if log else "its log says why"
        needs = "; ".join(f"{n}: {w}" for n, w in (said.get("problems") or {}).items())
        if said.get("ready") and not needs:
            yield ok(name, f"ready at {url}")
        elif said:
            yield problem(name, needs or str(said.get("state")), f"mend what it needs; {look}")
        else:
            yield problem(name, f"does not answer at {url}", look)


async def accounts(config: Bridge) -> AsyncIterator[Finding]:
    """Whether the mail servers of the bridge can be reached from here."""
    named: list[tuple[str, str, Account, dict[str, int]]] = []
    named += [("incoming", box, account, IMAP) for box, account in config.incoming.items()]
    for box, outgoing in config.outgoing.items():
        named.append(("outgoing", box, outgoing, SMTP if outgoing.mode == "send" else IMAP))
    for way, box, account, ports in named:
        topic, port = f"bridge.{way}.{box}", account.port or ports[account.security]
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(account.host, port), SECONDS)
        except (OSError, TimeoutError) as error:
            told = f"{account.host}:{port} cannot be reached ({type(error).__name__})"
            yield problem(topic, told, "check host, port and the firewall")
        else:
            writer.close()
            yield ok(topic, f"{account.host}:{port} can be reached (logins: see mail)")


async def traces() -> AsyncIterator[Finding]:
    """Whether the collector that the environment names takes something."""
    url = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), None)
    if url is None:
        return
    try:
        async with httpx.AsyncClient(timeout=SECONDS) as client:
            await client.get(url)
    except httpx.HTTPError as error:
        advice = "check OTEL_EXPORTER_OTLP_ENDPOINT (OTLP over HTTP, usually port 4318)"
        yield problem("traces", f"{shown(url)} does not answer ({type(error).__name__})", advice)
    else:
        yield ok("traces", f"a collector answers at {shown(url)}")
