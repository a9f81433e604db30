"""vLLM replicas and their OpenAI-compatible address, as Ray Serve deployments."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from ray import serve
from ray.exceptions import RayActorError
from ray.llm._internal.common.callbacks.base import CallbackBase
from ray.llm._internal.serve.core.configs.openai_api_models import (
    CompletionRequest,
    ErrorResponse,
    ModelCard,
    OpenAIHTTPException,
    to_model_metadata,
)
from ray.llm._internal.serve.core.ingress.ingress import DEFAULT_ENDPOINTS
from ray.llm._internal.serve.engines.vllm.vllm_engine import VLLMEngine
from ray.serve._private import replica as serve_replica
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    ReplicaUnavailableError,
)
from ray.serve.llm import LLMConfig, build_llm_deployment
from ray.serve.llm.deployment import LLMServer
from ray.serve.llm.ingress import OpenAiIngress, make_fastapi_ingress
from vllm.entrypoints.openai.models.protocol import LoRAModulePath

from services.generate.adapters import exposition
from services.generate.adapters.model_weights import adapter, weights
from services.generate.adapters.ray_reaper import MARK
from services.generate.stalling import Pulse

log = structlog.get_logger()

BUSY = "the queue is full: send it again later, or allow more replicas (serving.max_replicas)"
GONE = "the replica that wrote this answer ended; another takes its place: send it again"
LEAVING = "the model server is stopping: send it again to another, or later"


class Stalled(RuntimeError):
    """The engine has work and completes no step: Serve replaces the replica."""


def keep_to_loopback() -> None:
    """Have the server between deployments, which trusts whoever reaches it, reached from here.

    Serve binds it to every address. In a cluster it must be, and the network protects it.
    """
    bind = serve_replica.add_port_to_grpc_server
    if MARK in os.environ:
        serve_replica.add_port_to_grpc_server = lambda server, address: bind(
            server, address.replace("[::]", "127.0.0.1")
        )


class Weights(CallbackBase):  # type: ignore[misc]  # ray.llm has no types
    """Finds weights and adapters on the replica's own machine or in our store, nowhere else."""

    async def on_before_node_init(self) -> None:
        self.ctx.run_init_node = False  # ray.llm's own way is a download from a hub
        engine = self.llm_config.get_engine_config()
        engine.hf_model_id = str(await asyncio.to_thread(weights, engine.hf_model_id))
        for module in engine.frontend_kwargs.get("lora_modules", ()):
            module.path = str(await asyncio.to_thread(adapter, module.name, module.path))


class Engine(VLLMEngine):  # type: ignore[misc]  # ray.llm has no types
    """vLLM with one process less on CPUs: threads are set by Ray's environment already."""

    def _prepare_engine_config(self, context: Any) -> Any:
        arguments, frontend, config = super()._prepare_engine_config(context)
        parallel = config.parallel_config
        if config.device_config.device_type == "cpu" and parallel.world_size == 1:
            parallel.distributed_executor_backend = "uni"
        return arguments, frontend, config


class Replica(LLMServer):  # type: ignore[misc]  # ray.llm has no types
    """One engine; ready after a real generation, unhealthy when it owes a step for too long."""

    async def __init__(self, llm_config: LLMConfig, stalled_after: float) -> None:  # type: ignore[misc]  # Serve awaits it
        keep_to_loopback()
        self._stalled_after = stalled_after
        self._pulse = Pulse(time.monotonic())
        await super().__init__(llm_config, engine_cls=Engine)

    async def start(self) -> None:
        await super().start()
        self._watch()
        exposition.publish()
        request = CompletionRequest(model=self._llm_config.model_id, prompt="1", max_tokens=1)
        async for answer in self.engine.completions(request):
            if isinstance(answer, ErrorResponse):
                raise RuntimeError(f"the model generates nothing: {answer.error.message}")

    async def _start_engine(self) -> None:
        await self.engine.start()  # without ray.llm's report of what is run here

    def _watch(self) -> None:
        """Hear of every step of the engine: its counters are recorded after each."""
        manager = self._client.logger_manager
        record = manager.record

        def recorded(*args: Any, **kwargs: Any) -> None:
            self._pulse.step(time.monotonic())
            record(*args, **kwargs)

        manager.record = recorded

    @property
    def _client(self) -> Any:
        return self.engine._engine_client

    async def check_health(self) -> None:
        """Raises when the engine is dead, or ``Stalled``."""
        await super().check_health()
        unfinished = self._client.get_num_unfinished_requests()
        silent = self._pulse.silent(time.monotonic(), unfinished)
        if silent > self._stalled_after:
            # Serve kills this process, and would leave the stuck one with all its memory.
            await asyncio.to_thread(self._client.shutdown, timeout=1)
            raise Stalled(f"{unfinished} requests wait and no step was completed in {silent:.0f} s")


class Ingress(OpenAiIngress):  # type: ignore[misc]  # ray.llm has no types
    """The address: one model and its adapters, clear refusals, and a drain."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        keep_to_loopback()
        super().__init__(*args, **kwargs)
        self._in_hand = 0
        self._leaving = False

    async def _get_model_id(self, model: str | None) -> str:
        served = sorted(self._model_cards)
        if model not in self._model_cards:
            known = ", ".join(served)
            raise OpenAIHTTPException(
                404, f"no model or adapter {model!r} is served here; there is: {known}", "NotFound"
            )
        return str(model)

    async def _get_response(self, **request: Any) -> AsyncIterator[Any]:
        if self._leaving:
            raise OpenAIHTTPException(503, LEAVING, "ServiceUnavailable")
        self._in_hand += 1
        try:
            async for answer in super()._get_response(**request):
                yield answer
        except BackPressureError as error:
            raise OpenAIHTTPException(503, BUSY, "ServiceUnavailable") from error
        except (RayActorError, DeploymentUnavailableError, ReplicaUnavailableError) as error:
            raise OpenAIHTTPException(503, GONE, "ServiceUnavailable") from error
        finally:
            self._in_hand -= 1

    async def metrics(self) -> PlainTextResponse:
        """Counters of every replica, told apart by the label ``replica``."""
        return PlainTextResponse(await exposition.gathered(), media_type=CONTENT_TYPE_LATEST)

    async def drain(self, seconds: float) -> int:
        """Refuse what comes, wait for what is in hand; how many were still not finished."""
        self._leaving = True
        deadline = time.monotonic() + seconds
        while self._in_hand and time.monotonic() < deadline:  # noqa: ASYNC110 - once in a life
            await asyncio.sleep(0.1)
        return self._in_hand


def application(
    replica: Mapping[str, Any], adapters: Mapping[str, str], longest: float, stalled_after: float
) -> serve.Application:
    """Replicas as ``replica`` (an ``LLMConfig``) says, and the address before them."""
    config = LLMConfig(**replica, callback_config={"callback_class": Weights})
    if adapters:
        config.engine_kwargs["lora_modules"] = [
            LoRAModulePath(name=name, path=source) for name, source in adapters.items()
        ]
    replicas = build_llm_deployment(
        config, deployment_cls=Replica, bind_kwargs={"stalled_after": stalled_after}
    )
    names = [config.model_id, *adapters]
    options = Ingress.get_deployment_options([config]) | {
        "graceful_shutdown_timeout_s": config.deployment_config["graceful_shutdown_timeout_s"],
        "ray_actor_options": {
            "num_cpus": 0,
            "runtime_env": {"env_vars": {"RAY_SERVE_LLM_ROUTER_HTTP_TIMEOUT": str(longest)}},
        },
    }
    endpoints = {name: DEFAULT_ENDPOINTS[name] for name in ("models", "model_data", "chat")}
    endpoints["completions"] = DEFAULT_ENDPOINTS["completions"]
    endpoints["metrics"] = lambda app: app.get("/metrics")
    address = make_fastapi_ingress(Ingress, endpoint_map=endpoints, app=_api())
    return serve.deployment(address, name="address", **options).bind(
        # An adapter is a name of the same replicas: every one holds them all.
        llm_deployments=dict.fromkeys(names, replicas),
        model_cards={name: _card(name, config) for name in names},
    )


def _card(name: str, config: LLMConfig) -> ModelCard:
    return to_model_metadata(name, config)


def _api() -> FastAPI:
    """Errors in OpenAI's form; unlike ray.llm's, with no stack's words and for no other origin."""
    api = FastAPI(title="Sourcier model server", docs_url=None, redoc_url=None)

    async def refused(_: Request, error: OpenAIHTTPException) -> JSONResponse:
        return _error(error.status_code, error.type, error.message)

    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        told = [f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors()]
        return _error(400, "BadRequestError", "; ".join(told[:5]))

    async def failed(_: Request, error: Exception) -> JSONResponse:
        log.error("request failed", why=type(error).__name__)
        return _error(500, type(error).__name__, "the model server failed; its log says more")

    api.add_exception_handler(OpenAIHTTPException, refused)
    api.add_exception_handler(RequestValidationError, malformed)  # type: ignore[arg-type]  # the same
    api.add_exception_handler(Exception, failed)
    return api


def _error(status: int, kind: str, message: str) -> JSONResponse:
    headers = {"Retry-After": "5"} if status == 503 else None
    body = {"error": {"message": message, "type": kind, "code": status}}
    return JSONResponse(body, status, headers)
