"""Wiring: settings to handlers, and sentence vectors over the bus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from services.generate.adapters.bus_scorer import BusScorer
from services.generate.app import ContradictorySettings, build
from shared import topology
from shared.bus import Bus
from shared.delivery import Unavailable
from shared.envelope import Event
from shared.events import DraftReady
from shared.queries import EmbedAnswer, EmbedQuery
from shared.records import QuestionVectors, SparseVector
from shared.settings import Settings
from tests.fakes.drafting import STUDY, context, mail, passage

Handler = Callable[[Any], Awaitable[None]]


class OneBus:
    """Keeps handlers and what is said; answers with one vector per text."""

    def __init__(self, *, down: bool = False) -> None:
        self.handlers: dict[str, Handler] = {}
        self.said: list[Event] = []
        self.asked: list[EmbedQuery] = []
        self._down = down

    def hears(self, stage: topology.Stage) -> Callable[[Handler], Handler]:
        def keep(handler: Handler) -> Handler:
            self.handlers[stage.durable] = handler
            return handler

        return keep

    async def say(self, event: Event) -> None:
        self.said.append(event)

    async def ask(self, query: EmbedQuery, answer: object, **_: object) -> EmbedAnswer:
        if self._down:
            raise Unavailable("nobody answers query.embed.v1")
        self.asked.append(query)
        none = SparseVector(indices=(), values=())
        vectors = tuple(
            QuestionVectors(dense=(0.6, 0.8) if "étude" in text else (1.0, 0.0), sparse=none)
            for text in query.texts
        )
        return EmbedAnswer(vectors=vectors, embedding="e1")


def as_bus(bus: OneBus) -> Bus:
    return cast("Bus", bus)


async def test_a_service_built_from_settings_says_drafts() -> None:
    bus = OneBus()
    async with build(Settings(), as_bus(bus)) as parts:
        assert set(bus.handlers) == {"generate-draft", "generate-request"}
        assert parts.needs == {}
        await bus.handlers["generate-draft"](context(mail(), [passage(STUDY)]))
    assert isinstance(bus.said[0], DraftReady)
    assert bus.said[0].nats_subject() == "draft.ready.v1.default"
    assert [query.kind for query in bus.asked] == ["query", "passage"]
    assert not any(query.sparse for query in bus.asked)


async def test_a_model_without_fallback_is_waited_for() -> None:
    settings = Settings.model_validate(
        {
            "generation": {
                "engine": "openai",
                "endpoint": "http://127.0.0.1:9/v1",
                "model": "m",
                "fallback": False,
            }
        }
    )
    async with build(settings, as_bus(OneBus())) as parts:
        assert set(parts.needs) == {"endpoint"}
    settings = Settings.model_validate({"generation": {"engine": "openai"}})
    with pytest.raises(ContradictorySettings):
        async with build(settings, as_bus(OneBus())):
            pass


async def test_cosines_come_from_embed_both_sides_at_once() -> None:
    rows = await BusScorer(as_bus(OneBus())).cosines(["une étude"], ["une étude", "un prêt"])
    assert rows == [[pytest.approx(1.0), pytest.approx(0.6)]]
    with pytest.raises(Unavailable):
        await BusScorer(as_bus(OneBus(down=True))).cosines(["a"], ["b"])
