"""Metrics on a port of their own."""

from __future__ import annotations

import socket

import httpx
import pytest

from shared import runtime
from shared.settings import Http, Misconfigured, Settings


def test_where_a_port_is_configured_metrics_are_there_alone() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    http = Http(metrics_port=port)
    runtime.tell_metrics(http)
    assert "process_cpu_seconds_total" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
    with pytest.raises(Misconfigured, match=f"http.metrics_port {port}: .*choose a free port"):
        runtime.tell_metrics(http)


@pytest.mark.parametrize(("port", "answered"), [(0, True), (9464, False)])
def test_the_port_of_the_api_answers_them_only_without(port: int, answered: bool) -> None:
    life = runtime._Life(None, Settings(http=Http(metrics_port=port)), None)  # type: ignore[arg-type]  # not run
    paths = {route.path for route in life.routes()}  # type: ignore[attr-defined]  # each has one
    assert ("/metrics" in paths) is answered
    assert {"/healthz", "/readyz"} < paths
