"""The index on a Qdrant server (gRPC): one collection per embedding fingerprint.

Source: https://qdrant.tech/documentation/ (qdrant-client 1.20). ``<name>-<fingerprint>`` are the
collections; the alias ``<name>`` leads to the one that serves, ``<name>-former-<fingerprint>`` to
those that served before it. Any number of processes may use them at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import quote, unquote, urlsplit
from uuid import UUID

import grpc  # type: ignore[import-untyped]  # no stubs are installed for it
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ApiException

from services.retrieve.adapters.server_requests import (
    collection_config,
    idf_of,
    is_,
    older,
    requests,
    row,
    to_point,
)
from services.retrieve.passages import (
    Found,
    IndexQuery,
    PassagePoint,
    Tally,
    asked_terms,
    compose,
    revealed,
)
from services.retrieve.service import REMOVALS
from services.retrieve.versions import State, state_of, state_payload, state_point_id
from shared.delivery import Invalid, Unavailable
from shared.settings import Retrieval

_KEYWORDS = ("kind", "live", "document_id", "token", "reach", "collection")
_PAGE = 1000
_MANY = 100_000
_TIMEOUT = 30


def connect(config: Retrieval) -> AsyncQdrantClient:
    """A client of the server at ``config.url``, whose port is the gRPC port."""
    address = urlsplit(config.url)
    key = config.api_key.get_secret_value() if config.api_key else None
    return AsyncQdrantClient(
        host=address.hostname,
        grpc_port=address.port or 6334,
        prefer_grpc=True,
        https=address.scheme == "https",
        api_key=key,
        timeout=_TIMEOUT,
        check_compatibility=False,
    )


class ServerIndex:
    """See ``PassageIndex``. Every write waits until the server has applied it."""

    def __init__(self, client: AsyncQdrantClient, name: str) -> None:
        self._client = client
        self._name = name

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def create(self, embedding: str, dimension: int) -> None:
        name = self._collection(embedding)
        async with _reached():
            if not await self._client.collection_exists(name):
                await self._create(name, dimension)
            config = (await self._client.get_collection(name)).config.params.vectors
        dense = config.get("dense") if isinstance(config, dict) else None
        present = dense.size if dense is not None else 0
        if present != dimension:
            raise Invalid(
                f"vectors of {dimension} values for a collection of {present}: "
                "one embedding fingerprint stands for two models"
            )

    async def embeddings(self) -> tuple[str, ...]:
        prefix = f"{self._name}-"
        async with _reached():
            listed = (await self._client.get_collections()).collections
        names = sorted(c.name.removeprefix(prefix) for c in listed if c.name.startswith(prefix))
        return tuple(unquote(name) for name in names if name != REMOVALS)

    async def served(self) -> tuple[str, ...]:
        async with _reached():
            aliases = (await self._client.get_aliases()).aliases
        leads = {each.alias_name: self._embedding(each.collection_name) for each in aliases}
        present = [leads[self._name]] if self._name in leads else []
        prefix = f"{self._name}-former-"
        former = sorted(unquote(a.removeprefix(prefix)) for a in leads if a.startswith(prefix))
        return (*present, *(name for name in former if name not in present))

    async def serve(self, embedding: str) -> None:
        served = await self.served()
        changes: list[models.AliasOperations] = []
        if served:
            changes.append(_unalias(self._name))
            changes += [_unalias(self._former(name)) for name in served[1:]]
        changes.append(_alias(self._name, self._collection(embedding)))
        changes += [
            _alias(self._former(name), self._collection(name))
            for name in served
            if name != embedding
        ]
        async with _reached():
            await self._client.update_collection_aliases(change_aliases_operations=changes)

    async def discard(self, embedding: str) -> None:
        async with _reached():
            await self._client.delete_collection(self._collection(embedding))

    async def write(self, embedding: str, points: Sequence[PassagePoint]) -> None:
        async with _reached():
            await self._client.upsert(
                self._collection(embedding),
                [to_point(point) for point in points],
                wait=True,
                update_mode=models.UpdateMode.INSERT_ONLY,
            )

    async def reveal(self, embedding: str, state: State) -> None:
        own = is_(kind="passage", token=state.token)
        async with _reached():
            await self._client.set_payload(
                self._collection(embedding), revealed(state), points=own, wait=True
            )

    async def advance(self, embedding: str, state: State) -> State:
        name = state_point_id(state.document_id)
        point = models.PointStruct(id=name, vector={}, payload=state_payload(state))
        async with _reached():
            # The server checks the condition as it applies the write: compare and set.
            await self._client.upsert(
                self._collection(embedding),
                [point],
                wait=True,
                update_filter=older(state.rank),
                ordering=models.WriteOrdering.STRONG,
            )
        return (await self.states(embedding, [state.document_id]))[state.document_id]

    async def states(self, embedding: str, documents: Iterable[UUID]) -> dict[UUID, State]:
        names = [state_point_id(document) for document in documents]
        if not names:
            return {}
        async with _reached():
            records = await self._client.retrieve(self._collection(embedding), names)
        found = [state_of(record.payload) for record in records if record.payload]
        return {state.document_id: state for state in found}

    async def all_states(self, embedding: str) -> list[State]:
        states: list[State] = []
        offset = None
        while True:
            async with _reached():
                records, offset = await self._client.scroll(
                    self._collection(embedding),
                    scroll_filter=is_(kind="state"),
                    limit=_PAGE,
                    offset=offset,
                )
            states.extend(state_of(record.payload) for record in records if record.payload)
            if offset is None:
                return states

    async def prune(self, embedding: str, state: State) -> None:
        selector = is_(document_id=str(state.document_id), kind="passage")
        condition = models.Filter(
            must=[selector, older(state.rank)], must_not=[is_(token=state.token)]
        )
        await self._delete(embedding, condition)

    async def drop(self, embedding: str, token: str) -> None:
        await self._delete(embedding, is_(kind="passage", token=token))

    async def count(self, embedding: str, token: str) -> int:
        async with _reached():
            answer = await self._client.count(
                self._collection(embedding), is_(kind="passage", token=token), exact=True
            )
        return answer.count

    async def search(self, embedding: str, queries: Sequence[IndexQuery]) -> list[Found]:
        wanted = [request for query in queries for request in requests(query)]
        async with _reached():
            batch = await self._client.query_batch_points(self._collection(embedding), wanted)
        answers = iter(answer.points for answer in batch)
        return [
            compose(
                query,
                [row(point) for point in next(answers)],
                {str(point.id): point.score for point in next(answers)},
                idf_of([(term, next(answers)) for term in asked_terms(query)]),
            )
            for query in queries
        ]

    async def settle(self, embedding: str) -> None:
        """Nothing is left to wait for: each write waited."""

    async def tally(self, embedding: str) -> Tally:
        return Tally(await self._live(embedding, "state"), await self._live(embedding, "passage"))

    async def ready(self) -> None:
        async with _reached():
            await self._client.get_collections()

    async def _create(self, name: str, dimension: int) -> None:
        try:
            await self._client.create_collection(name, **collection_config(dimension))
        except (grpc.RpcError, ApiException, ValueError):
            # Another process may have made it just now.
            if not await self._client.collection_exists(name):
                raise
        for field in _KEYWORDS:
            await self._client.create_payload_index(
                name, field, models.PayloadSchemaType.KEYWORD, wait=True
            )

    async def _delete(self, embedding: str, condition: models.Filter) -> None:
        selector = models.FilterSelector(filter=condition)
        async with _reached():
            await self._client.delete(self._collection(embedding), selector, wait=True)

    async def _live(self, embedding: str, kind: str) -> dict[str, int]:
        async with _reached():
            answer = await self._client.facet(
                self._collection(embedding),
                key="collection",
                facet_filter=is_(kind=kind, live="live"),
                limit=_MANY,
                exact=True,
            )
        return {str(hit.value): hit.count for hit in answer.hits}

    def _collection(self, embedding: str) -> str:
        return f"{self._name}-{quote(embedding, safe='')}"

    def _former(self, embedding: str) -> str:
        return f"{self._name}-former-{quote(embedding, safe='')}"

    def _embedding(self, collection: str) -> str:
        return unquote(collection.removeprefix(f"{self._name}-"))


def _alias(name: str, collection: str) -> models.CreateAliasOperation:
    made = models.CreateAlias(alias_name=name, collection_name=collection)
    return models.CreateAliasOperation(create_alias=made)


def _unalias(name: str) -> models.DeleteAliasOperation:
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=name))


_DOWN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


@asynccontextmanager
async def _reached() -> AsyncIterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error.code() in _DOWN:
            raise Unavailable(f"Qdrant does not answer: {error.details()}") from error
        raise
    except (ConnectionError, TimeoutError) as error:
        raise Unavailable(f"Qdrant does not answer: {error}") from error
