"""The judge against a real HTTP server: what it is shown, and what is made of its answer."""

from __future__ import annotations

import json

import pytest

from services.generate.adapters.endpoints import ChatClient, Endpoint
from services.generate.adapters.openai_judge import OpenAiJudge
from services.generate.answer import EngineFailed
from services.generate.app import ContradictorySettings, judge_of
from services.generate.judging import Case, Verdict
from shared.delivery import Unavailable
from shared.model_settings import Generation
from tests.fakes.endpoint import Reply, endpoint

CASE = Case(
    questions=("Quel est le délai ?",),
    statements=("Le dossier se dépose en ligne.", "Le délai est de deux mois."),
    grounds=("Le dossier se dépose en ligne.", "Le prêt est remboursé en 25 ans."),
)
FOUND = {"unsupported": [2], "unanswered": [], "objection": "Le délai n'est pas dans le passage."}


async def judged(url: str) -> Verdict:
    judge = OpenAiJudge(ChatClient(Endpoint(url=url, model="m", timeout=5, backoff=())))
    await judge.start()
    try:
        return await judge.judge(CASE)
    finally:
        await judge.stop()


async def test_it_shows_statements_with_their_grounds_and_reads_the_verdict() -> None:
    with endpoint(Reply(json.dumps(FOUND))) as server:
        verdict = await judged(server.url)
    assert verdict == Verdict((1,), (), 0.5, 1.0, FOUND["objection"])
    sent = server.requests[0]
    user = sent["messages"][1]["content"]
    assert user.index(CASE.statements[0]) < user.index(CASE.grounds[1])
    assert user.count("</passages>") == 2
    assert CASE.questions[0] in user
    assert sent["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    ("reply", "error"),
    [(Reply("Tout va bien."), EngineFailed), (Reply(status=503), Unavailable)],
)
async def test_nonsense_and_silence_are_told_apart(reply: Reply, error: type[Exception]) -> None:
    with endpoint(reply) as server, pytest.raises(error):
        await judged(server.url)


def test_a_judge_needs_an_endpoint() -> None:
    assert judge_of(Generation(), None) is None
    wished = Generation.model_validate({"judge": {"enabled": True}})
    with pytest.raises(ContradictorySettings, match=r"generation\.judge"):
        judge_of(wished, None)
    assert judge_of(wished, Endpoint(url="http://127.0.0.1:9/v1", model="m")) is not None
