"""The services' HTTP APIs as commands use them."""

from __future__ import annotations

from typing import Any

import httpx

from shared.cli.problem import Problem
from shared.cli.where import Where


def fetch(
    method: str,
    url: str,
    seconds: float = 10,
    body: object = None,
    token: str | None = None,
    **params: object,
) -> Any:
    """JSON of an API's answer; ``body`` goes as JSON. Raises ``Problem`` in the API's own words."""
    wanted = {name: str(value) for name, value in params.items() if value is not None}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.request(
            method, url, params=wanted, json=body, headers=headers, timeout=seconds
        )
    except httpx.HTTPError as error:
        raise Problem(f"{url} does not answer ({error}); see `sourcier status`") from error
    if answer.is_success:
        return answer.json()
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise Problem(
            f"{url} wants an API token: put one (`sourcier accounts token NAME`) into a file and "
            "name it in SOURCIER_DESK__OPERATOR_TOKEN"
        )
    raise Problem(_words(answer))


def feedback(
    where: Where,
    method: str,
    path: str,
    seconds: float = 10,
    body: object = None,
    **params: object,
) -> Any:
    """As ``fetch``, of feedback's API, which wants to know who asks."""
    url = where.url("feedback") + path
    return fetch(method, url, seconds, body, where.token(), **params)


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
