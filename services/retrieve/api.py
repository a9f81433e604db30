"""HTTP: what the index holds, and which embedding serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from services.retrieve.indexing import IndexingService
from services.retrieve.service import PassageIndex
from services.retrieve.status import describe_document, describe_index
from shared.delivery import Invalid, Unavailable

Endpoint = Callable[[Request], Awaitable[JSONResponse]]


def build_api(index: PassageIndex, indexing: IndexingService) -> Starlette:
    """``GET /v1/index``, ``GET /v1/index/document/{id}``, ``POST /v1/index/switch?embedding=``,
    ``DELETE /v1/index?embedding=``."""

    async def show(_request: Request) -> JSONResponse:
        return JSONResponse(await describe_index(index))

    async def document(request: Request) -> JSONResponse:
        wanted = _document_id(request.path_params["document_id"])
        return JSONResponse(await describe_document(index, wanted))

    async def switch(request: Request) -> JSONResponse:
        await indexing.switch(_embedding(request))
        return JSONResponse(await describe_index(index))

    async def discard(request: Request) -> JSONResponse:
        await indexing.discard(_embedding(request))
        return JSONResponse(await describe_index(index))

    return Starlette(
        routes=[
            Route("/v1/index", _refusing(show)),
            Route("/v1/index", _refusing(discard), methods=["DELETE"]),
            Route("/v1/index/document/{document_id}", _refusing(document)),
            Route("/v1/index/switch", _refusing(switch), methods=["POST"]),
        ]
    )


def _refusing(endpoint: Endpoint) -> Endpoint:
    """``Invalid`` becomes 422 and ``Unavailable`` 503, each with its reason."""

    async def answer(request: Request) -> JSONResponse:
        try:
            return await endpoint(request)
        except Invalid as error:
            return JSONResponse({"detail": str(error)}, status_code=422)
        except Unavailable as error:
            return JSONResponse({"detail": str(error)}, status_code=503)

    return answer


def _embedding(request: Request) -> str:
    embedding = request.query_params.get("embedding")
    if not embedding:
        raise Invalid("say which collection: ?embedding=<fingerprint>, see GET /v1/index")
    return embedding


def _document_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid(f"{text!r} is no document id (a UUID)") from error
