"""Both ends of an interactive request: the answer, or the refusal and what it means."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from shared.delivery import Invalid, Unavailable
from shared.queries import Refusal
from shared.telemetry import words

log = structlog.get_logger()

A = TypeVar("A", bound=BaseModel)


async def answered(handler: Callable[..., Awaitable[Any]], request: Any) -> BaseModel:
    """What ``handler`` answers, or the refusal that its error is; never raises."""
    if isinstance(request, Refusal):
        return request
    try:
        answer: BaseModel = await handler(request)
    except Invalid as error:
        return Refusal(code="invalid", detail=str(error))
    except Unavailable as error:
        return Refusal(code="unavailable", detail=str(error))
    except Exception as error:  # noqa: BLE001 - the asker must hear of any failure at once
        log.error("request failed", error=words(error))
        return Refusal(code="failed", detail=words(error))
    return answer


def read(body: bytes, answer: type[A]) -> A:
    """The answer in ``body``. Raises ``Invalid`` or ``Unavailable`` for a refusal."""
    try:
        refusal = Refusal.model_validate_json(body)
    except ValidationError:
        return answer.model_validate_json(body)
    if refusal.code == "invalid":
        raise Invalid(refusal.detail)
    raise Unavailable(refusal.detail)
