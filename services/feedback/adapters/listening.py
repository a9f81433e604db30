"""Hears PostgreSQL's notifications on one connection, opened again whenever it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
import structlog
from pydantic import ValidationError

from services.feedback.queueing import Change
from shared import settings

log = structlog.get_logger()

CHANNEL = "feedback"
PAUSES = (0.2, 1.0, 2.0, 5.0)
LOOK_EVERY = 10.0
"""Seconds between looks at a silent connection: a lost network path tells nothing."""
Heard = Callable[[Change], None]


class PostgresChanges:
    """Tells each change; ``resync`` after a gap in which changes may have been missed."""

    def __init__(self, config: settings.Postgres, heard: Heard) -> None:
        self._dsn = config.dsn.get_secret_value()
        self._heard = heard

    async def run(self) -> None:
        """Listen until cancelled."""
        failed = 0
        while True:
            try:
                connection = await asyncpg.connect(
                    self._dsn,
                    timeout=5,
                    command_timeout=5,
                    server_settings={"application_name": "sourcier-feedback-live"},
                )
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("live: database does not answer", reason=str(error), tries=failed + 1)
                await asyncio.sleep(PAUSES[min(failed, len(PAUSES) - 1)])
                failed += 1
                continue
            failed = 0
            await self._listen(connection)

    async def _listen(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda *_: lost.set())
        try:
            await connection.add_listener(CHANNEL, self._tell)
            self._heard(Change(kind="resync"))
            while not lost.is_set():
                try:
                    # Not wait_for: outbox.py says why.
                    async with asyncio.timeout(LOOK_EVERY):
                        await lost.wait()
                except TimeoutError:
                    await connection.execute("select")
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("live: connection lost", reason=str(error))
        finally:
            connection.terminate()

    def _tell(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        try:
            self._heard(Change.model_validate_json(str(payload)))
        except ValidationError as error:
            log.warning("live: notification not understood", reason=str(error))
