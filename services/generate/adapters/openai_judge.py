"""A chat model that reads drafts, behind the same endpoint as the one that writes them."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from services.generate import judging
from services.generate.adapters.endpoints import ChatClient
from services.generate.judging import Case, Verdict
from shared.records import Message

_MAX_TOKENS = 200


class OpenAiJudge:
    """Asks for a verdict under a JSON schema; used between ``start`` and ``stop`` only."""

    def __init__(self, client: ChatClient) -> None:
        self._client = client
        source = files("services.generate") / "prompts" / "fr" / "judge.j2"
        environment = Environment(
            undefined=StrictUndefined,
            trim_blocks=True,
            autoescape=False,  # noqa: S701 - no HTML is made here
        )
        self._template = environment.from_string(source.read_text(encoding="utf-8"))

    async def start(self) -> None:
        """Open the clients; the endpoint itself may still be down."""
        await self._client.start()

    async def stop(self) -> None:
        """Close the connections."""
        await self._client.stop()

    async def judge(self, case: Case) -> Verdict:
        """See ``judging.Judge``."""
        schema = {"name": "verdict", "strict": True, "schema": judging.SCHEMA}
        raw = await self._client.ask(
            self._messages(case),
            max_tokens=_MAX_TOKENS,
            temperature=0,
            response_format={"type": "json_schema", "json_schema": schema},
        )
        return judging.read(raw, case)

    def _messages(self, case: Case) -> tuple[Message, ...]:
        told = zip(case.statements, case.grounds, strict=True)
        context = self._template.new_context(
            {"statements": list(told), "questions": case.questions}
        )
        system, user = (
            "".join(self._template.blocks[block](context)).strip() for block in ("system", "user")
        )
        return (Message(role="system", content=system), Message(role="user", content=user))
