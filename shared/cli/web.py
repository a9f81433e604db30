"""The services' HTTP APIs as commands use them."""

from __future__ import annotations

from typing import Any

import httpx

from shared.cli.problem import Problem


def fetch(method: str, url: str, seconds: float = 10, body: object = None, **params: object) -> Any:
    """JSON of an API's answer; ``body`` goes as JSON. Raises ``Problem`` in the API's own words."""
    wanted = {name: str(value) for name, value in params.items() if value is not None}
    try:
        answer = httpx.request(method, url, params=wanted, json=body, timeout=seconds)
    except httpx.HTTPError as error:
        raise Problem(f"{url} does not answer ({error}); see `sourcier status`") from error
    if answer.is_success:
        return answer.json()
    raise Problem(_words(answer))


def _words(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.url} answers {answer.status_code}: {answer.text[:200]}"


def readiness(url: str) -> dict[str, Any]:
    """What a service's ``/readyz`` says; empty when it does not answer."""
    try:
        answer = httpx.get(f"{url}/readyz", timeout=5)
        return dict(answer.json())
    except (httpx.HTTPError, ValueError):
        return {}
