"""Runs one service: settings, logs, bus, HTTP for health and metrics, an orderly stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest, start_http_server
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from shared import settings, telemetry, tracing
from shared.bus import Bus, Probe
from shared.delivery import Unavailable
from shared.registry import explain

log = structlog.get_logger()

SILENT_FOR = 60.0
"""Seconds without a sign of the broker after which the service says it is not alive."""
PROBE_EVERY = 1.0


@dataclass
class Parts:
    """What a service brings: its HTTP API, and probes of what it needs (``Unavailable``)."""

    api: ASGIApp | None = None
    needs: dict[str, Probe] = field(default_factory=dict)
    troubles: Callable[[], dict[str, str]] = dict
    """What does not work, by name, though the service does."""
    stopping: Callable[[], None] = lambda: None
    """Called as soon as the service is told to stop: ends answers that would never end."""


Build = Callable[[settings.Settings, Bus], AbstractAsyncContextManager[Parts]]


def run(service: str, build: Build) -> None:
    """Run ``service`` until SIGTERM or Ctrl-C; exits 1 when it cannot go on."""
    try:
        config = settings.load()
    except (OSError, ValueError) as error:  # a broken file is a ValueError too
        telemetry.configure(settings.Log(), service)
        told = explain(error) if isinstance(error, ValidationError) else str(error)
        log.error("refused to start", reason=f"the configuration is wrong: {told}")
        sys.exit(1)
    telemetry.configure(config.log, service)
    tracing.configure(service, config.environment)
    status = asyncio.run(_serve(service, config, build))
    tracing.finish()
    sys.exit(status)


async def _serve(service: str, config: settings.Settings, build: Build) -> int:
    try:
        tell_metrics(config.http)
    except settings.Misconfigured as error:
        log.error("refused to start", reason=str(error))
        return 1
    bus = Bus(service, config)
    life = _Life(bus, config, build)
    app = Starlette(routes=life.routes(), lifespan=life.lifespan)
    server = _Server(
        uvicorn.Config(
            app,
            host=config.http.host,
            port=config.http.port,
            log_level="warning",
            log_config=None,  # through ours: JSON, and no words of errors
            timeout_graceful_shutdown=int(config.delivery.drain),
        )
    )
    life.stop = lambda: setattr(server, "should_exit", True)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, life.end)
    await server.serve()
    return life.exit_code if server.started else 1


def tell_metrics(http: settings.Http) -> None:
    """Answer `/metrics` on the port of its own, where one is configured, until the process ends.

    Raises Misconfigured.
    """
    if not http.metrics_port:
        return
    try:
        start_http_server(http.metrics_port, http.host)
    except OSError as error:
        raise settings.Misconfigured(
            f"http.metrics_port {http.metrics_port}: {error.strerror}; choose a free port"
        ) from error


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: they end a drained process as if it was killed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Life:
    """From the first connection to the last flush."""

    def __init__(self, bus: Bus, config: settings.Settings, build: Build) -> None:
        self._bus = bus
        self._config = config
        self._build = build
        self._api: ASGIApp | None = None
        self._state = "starting"
        self.exit_code = 0
        self.stop: Callable[[], None] = lambda: None
        self._stopping: Callable[[], None] = lambda: None
        self._troubles: Callable[[], dict[str, str]] = dict

    def end(self) -> None:
        """Told to stop: endless answers end first, the HTTP server waits for the others."""
        self._stopping()
        self.stop()

    def routes(self) -> list[BaseRoute]:
        own_port = bool(self._config.http.metrics_port)
        return [
            Route("/healthz", self._health),
            Route("/readyz", self._ready),
            *([] if own_port else [Route("/metrics", self._metrics)]),
            Mount("/", self._call_api),
        ]

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(self._live(), name="service")
        try:
            yield
        finally:
            self._state = "stopping"
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _live(self) -> None:
        """The service's whole life beside its HTTP server; a failure ends the process."""
        try:
            async with self._build(self._config, self._bus) as parts:
                self._api, self._bus.needs = parts.api, parts.needs
                self._stopping, self._troubles = parts.stopping, parts.troubles
                await self._await_needs()
                await self._bus.connect()
                await self._bus.start()
                self._state = "running"
                log.info("running")
                try:
                    await self._bus.closed.wait()
                    log.error("broker connection closed for good")
                finally:
                    await asyncio.shield(self._bus.stop())
        except settings.Misconfigured as error:
            log.error("refused to start", reason=str(error))
        except Exception as error:
            log.error("service failed", error=repr(error), exc_info=True)
        self.exit_code = 1
        self.end()

    async def _await_needs(self) -> None:
        """Wait until everything needed answers: a start in an outage uses up no attempt."""
        for name, probe in self._bus.needs.items():
            told = False
            while True:
                try:
                    await probe()
                    break
                except Unavailable as error:
                    self._state = f"waiting for {name}: {error}"
                    if not told:
                        log.warning("waiting", need=name, reason=str(error))
                        told = True
                    await asyncio.sleep(PROBE_EVERY)

    async def _health(self, _request: Request) -> JSONResponse:
        silent = self._bus.silence()
        alive = silent < SILENT_FOR
        body = {"alive": alive, "state": self._state, "silent_seconds": round(silent, 1)}
        return JSONResponse(body, status_code=200 if alive else 503)

    async def _ready(self, _request: Request) -> JSONResponse:
        running = self._state == "running"
        problems = {} if not running else await self._bus.problems()
        ready = running and not problems
        problems = problems | self._troubles()
        body = {"ready": ready, "state": self._state, "problems": problems}
        return JSONResponse(body, status_code=200 if ready else 503)

    async def _metrics(self, _request: Request) -> Response:
        # In a thread: many series take some milliseconds.
        body = await asyncio.to_thread(generate_latest)
        return Response(body, media_type=CONTENT_TYPE_LATEST)

    async def _call_api(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]  # ASGI
        if self._api is None:
            response = JSONResponse({"detail": self._state}, status_code=503)
            await response(scope, receive, send)
        else:
            given = dict(scope.get("headers", ())).get(b"traceparent", b"")
            with tracing.joining(given.decode("latin-1")):
                await self._api(scope, receive, send)
