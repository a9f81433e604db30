"""One suite for every engine: the same life, the same answers in kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.generate.answer import Form
from services.generate.composing import compose
from services.generate.service import Engine
from tests.fakes.drafting import STUDY, WORKS, engine_at, extractive, mail, passage, request
from tests.fakes.endpoint import Reply, endpoint, parts, picks

ANSWER = "Le programme cofinance l'étude préalable à hauteur de 50 % de son coût hors taxes."


ANSWERS: dict[Form, Reply] = {
    "parts": parts((ANSWER, [1]), ("Le plafond est de 40 000 € par projet.", [1])),
    "marks": Reply(f"{ANSWER[:-1]} [1]. Le plafond est de 40 000 € par projet [1]."),
    "select": picks(q1=[1, 2]),
}


@pytest.fixture(params=["extractive", *ANSWERS])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "extractive":
        yield extractive()
        return
    with endpoint(ANSWERS[request.param]) as server:
        yield engine_at(server.url, request.param)


async def test_is_used_between_start_and_stop_only(engine: Engine) -> None:
    asked = request([passage(STUDY)])
    with pytest.raises(RuntimeError):
        await engine.write(asked)
    await engine.start()
    assert (await engine.write(asked)).parts
    await engine.stop()
    with pytest.raises(RuntimeError):
        await engine.write(asked)


async def test_stops_twice_and_starts_again(engine: Engine) -> None:
    await engine.start()
    await engine.stop()
    await engine.stop()
    await engine.start()
    assert (await engine.write(request([passage(STUDY)]))).parts
    await engine.stop()


async def test_statements_cite_passages_given_and_pass_the_checks(engine: Engine) -> None:
    asked = request([passage(STUDY)])
    await engine.start()
    answer = await engine.write(asked)
    await engine.stop()
    assert answer.engine == engine.name
    assert answer.model == engine.fingerprint
    assert answer.refusal is None
    statements = [part for part in answer.parts if not part.connective]
    assert all(part.citations for part in statements)
    assert all(0 <= index < 1 for part in statements for index in part.citations)
    draft = compose(asked, answer, "Le guichet")
    assert ANSWER in draft.text
    assert all(check.passed for check in draft.checks)


async def test_the_same_request_gives_the_same_answer(engine: Engine) -> None:
    asked = request([passage(STUDY), passage(WORKS, "travaux")], mail())
    await engine.start()
    first, second = await engine.write(asked), await engine.write(asked)
    await engine.stop()
    assert first == second


async def test_name_and_fingerprint_tell_its_drafts_apart(engine: Engine) -> None:
    assert engine.name in ("extractive", "openai")
    assert engine.fingerprint
    assert engine.prompt


async def test_an_answer_keeps_the_prompt(engine: Engine) -> None:
    await engine.start()
    answer = await engine.write(request([passage(STUDY)]))
    await engine.stop()
    assert answer.prompt == engine.prompt
    assert [message.role for message in answer.messages] == ["system", "user"]
    assert ANSWER in answer.messages[1].content
