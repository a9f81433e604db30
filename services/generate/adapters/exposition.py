"""Prometheus counters of several processes as one exposition.

Every replica has an address for its own, told to the others through Ray: asked as a request of
Serve's, a replica that is full would not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import structlog
from prometheus_client import generate_latest, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:  # it comes with Ray Serve
    from aiohttp import ClientSession

log = structlog.get_logger()

NAMESPACE = "sourcier"
PREFIX = b"counters/"
TIMEOUT = 5.0


def publish() -> None:
    """Serve this process's counters on a port of their own, as long as it lives."""
    import ray
    from ray.experimental import internal_kv

    host = ray.util.get_node_ip_address()
    server, _ = start_http_server(0, addr=host)
    url = f"http://{host}:{server.server_port}/metrics".encode()
    internal_kv._internal_kv_put(PREFIX + url, url, namespace=NAMESPACE)


async def gathered() -> str:
    """The counters of all processes that published theirs and answer in time."""
    import aiohttp

    limit = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(timeout=limit) as session:
        urls = await asyncio.to_thread(_published)
        found = await asyncio.gather(*(_fetched(session, url) for url in sorted(urls)))
    return merged([text for text in found if text], "replica")


def _published() -> list[str]:
    from ray.experimental import internal_kv

    keys = internal_kv._internal_kv_list(PREFIX, namespace=NAMESPACE)
    return [key.removeprefix(PREFIX).decode() for key in keys]


async def _fetched(session: ClientSession, url: str) -> str:
    from aiohttp import ClientConnectionError, ClientPayloadError

    try:
        async with session.get(url) as answer:
            return await answer.text()
    except (TimeoutError, ClientPayloadError) as error:  # it may live: it is asked again
        log.warning("no counters of a replica", url=url, why=type(error).__name__)
        return ""
    except ClientConnectionError:  # the replica is gone
        await asyncio.to_thread(_forget, url)
        return ""


def _forget(url: str) -> None:
    from ray.experimental import internal_kv

    internal_kv._internal_kv_del(PREFIX + url.encode(), namespace=NAMESPACE)


def merged(texts: Sequence[str], label: str) -> str:
    """The expositions ``texts`` in one, told apart by ``label``: each text's place."""
    return generate_latest(_Together(texts, label)).decode()


class _Together:
    def __init__(self, texts: Sequence[str], label: str) -> None:
        self._texts = texts
        self._label = label

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for place, text in enumerate(self._texts):
            for family in text_string_to_metric_families(text):
                kept = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = sample.labels | {self._label: str(place)}
                    kept.samples.append(sample._replace(labels=labels))
        return families.values()
