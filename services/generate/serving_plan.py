"""What the settings of ``[serving]`` mean to Ray Serve and vLLM, as plain values."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, Literal

from shared.model_settings import Serving

Device = Literal["cpu", "gpu"]

GIB = 1024**3
GRACE = 30.0
"""Seconds beyond the longest generation that a stopping replica is given."""
BATCH_ON_CPU = 4
"""Drafts that generate should ask of a CPU at once: more would share the same few cores, and each
would wait longer."""
OFFLINE = {
    # Nothing is looked up or reported outside: weights are on this machine, or in our own store.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
QUIET = {"VLLM_LOGGING_LEVEL": "WARNING", "VLLM_CONFIGURE_LOGGING": "1"}


class NoSuchProfile(ValueError):
    """A cluster's file names a profile that it does not hold; says which it holds."""


def chosen(args: dict[str, Any]) -> Serving:
    """The settings that ``args`` of a cluster's file give: those of the profile it names among its
    ``profiles``, or its own. Raises ``NoSuchProfile``, ``ValidationError``."""
    if "profiles" not in args:
        return Serving.model_validate(args)
    name, profiles = args.get("profile"), args["profiles"]
    if beside := set(args) - {"profile", "profiles"}:
        raise NoSuchProfile(f"{', '.join(sorted(beside))}: stands beside the profiles, not in one")
    if name not in profiles:
        raise NoSuchProfile(f"profile: {name!r} is none of {', '.join(profiles)}")
    return Serving.model_validate(profiles[name])


def served_name(serving: Serving) -> str:
    """What requests call the model: the given name, else its directory's, in lower case."""
    return serving.name or PurePath(serving.model).name.lower()


def engine(serving: Serving, device: Device) -> dict[str, Any]:
    """Arguments of vLLM's engine."""
    arguments: dict[str, Any] = {
        "dtype": serving.dtype,
        "max_model_len": serving.max_length,
        "max_num_seqs": serving.max_ongoing_requests,
        "tensor_parallel_size": serving.tensor_parallel,
        "enable_prefix_caching": serving.prefix_caching,
        "enable_chunked_prefill": serving.chunked_prefill,
        "enable_prompt_tokens_details": True,  # how much of a prompt the cache gave, in `usage`
        "trust_remote_code": False,
        "load_format": "safetensors",
    }
    if serving.compact_json:
        compact = {"backend": "guidance", "disable_any_whitespace": True}
        arguments["structured_outputs_config"] = compact
    if serving.adapters:
        arguments |= {
            "enable_lora": True,
            "max_loras": len(serving.adapters),
            "max_lora_rank": serving.adapters_rank,
        }
    if device == "cpu":
        arguments |= {
            "enforce_eager": True,
            "kv_cache_memory_bytes": int(serving.kv_cache_gib * GIB),
        }
    return arguments


def deployment(serving: Serving) -> dict[str, Any]:
    """Options of the replicas' Serve deployment."""
    return {
        "autoscaling_config": {
            "min_replicas": serving.min_replicas,
            "max_replicas": serving.max_replicas,
            "target_ongoing_requests": serving.target_ongoing_requests,
            "upscale_delay_s": serving.upscale_delay,
            "downscale_delay_s": serving.downscale_delay,
        },
        "max_ongoing_requests": serving.max_ongoing_requests,
        "max_queued_requests": serving.max_queued_requests,
        "health_check_period_s": 5,
        "health_check_timeout_s": 60,  # of the replica's event loop; the engine has `stalled_after`
        "graceful_shutdown_timeout_s": serving.longest_generation + GRACE,
        "logging_config": {"log_level": "WARNING", "enable_access_log": False},
    }


def environment(device: Device, threads: int) -> dict[str, str]:
    """Variables of the replicas; ``threads`` are one CPU replica's."""
    if device == "gpu":
        return OFFLINE | QUIET
    # Ray would set one thread; binding them to cores would fight with the other services here.
    bound = {"OMP_NUM_THREADS": str(threads), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    return OFFLINE | QUIET | bound


def replica(serving: Serving, device: Device, cores: int) -> dict[str, Any]:
    """The ``LLMConfig`` of the application; CPU replicas share this machine's ``cores``."""
    threads = max(1, cores // max(1, serving.max_replicas))
    bundle = {"GPU": 1} if device == "gpu" else {"CPU": threads}
    return {
        "model_loading_config": {"model_id": served_name(serving), "model_source": serving.model},
        "engine_kwargs": engine(serving, device),
        "deployment_config": deployment(serving) | {"ray_actor_options": {"num_cpus": 0}},
        "placement_group_config": {
            "bundles": [bundle] * serving.tensor_parallel,
            "strategy": "STRICT_PACK",
        },
        "runtime_env": {"env_vars": environment(device, threads)},
        "log_engine_metrics": False,  # vLLM's own counters instead, under /metrics
    }
