"""An engine that steps in while another one is down or answers nothing usable."""

from __future__ import annotations

from dataclasses import replace

from services.generate.answer import DraftRequest, EngineAnswer, EngineFailed
from services.generate.service import Engine
from shared.delivery import Unavailable
from shared.records import Check


class FallbackEngine:
    """Asks ``first``; when it is down or fails, ``second`` answers and the draft says so."""

    def __init__(self, first: Engine, second: Engine) -> None:
        self._first = first
        self._second = second
        self.name = first.name
        self.fingerprint = first.fingerprint
        self.prompt = first.prompt

    async def start(self) -> None:
        """Start both."""
        await self._second.start()
        await self._first.start()

    async def stop(self) -> None:
        """Stop both."""
        await self._first.stop()
        await self._second.stop()

    async def write(self, request: DraftRequest) -> EngineAnswer:
        """The first engine's answer, else the second's, marked in its name and a check."""
        try:
            return await self._first.write(request)
        except Unavailable as error:
            why, said = "endpoint down", f"Le moteur {self._first.name} ne répond pas ({error})"
        except EngineFailed as error:
            why = "endpoint answer unusable"
            said = f"La réponse du moteur {self._first.name} est inutilisable ({error})"
        answer = await self._second.write(request)
        detail = f"{said} : le projet a été préparé par le moteur {answer.engine}."
        check = Check(name="engine", passed=False, detail=detail)
        return replace(answer, engine=f"{answer.engine} ({why})", checks=(check, *answer.checks))
