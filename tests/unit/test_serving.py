"""Settings of serving as Ray and vLLM understand them; when an engine is stuck; what is ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from prometheus_client import CollectorRegistry, Counter, start_http_server
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from services.generate import serving, serving_plan
from services.generate.adapters import exposition, ray_reaper
from services.generate.adapters.exposition import merged
from services.generate.stalling import Pulse
from shared.cli import serve
from shared.cli.main import app
from shared.cli.problem import Problem
from shared.model_settings import Serving
from tests.fakes.model_folder import model_folder


def test_replicas_on_cpus_share_the_cores_and_stay_offline() -> None:
    plan = serving_plan.replica(Serving(max_replicas=2), "cpu", cores=8)
    assert plan["placement_group_config"]["bundles"] == [{"CPU": 4}]
    environment = plan["runtime_env"]["env_vars"]
    assert environment["OMP_NUM_THREADS"] == "4"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert plan["engine_kwargs"]["kv_cache_memory_bytes"] == 1024**3


def test_a_clusters_file_names_one_of_its_profiles() -> None:
    profiles = {"small": {"model": "a"}, "large": {"model": "b", "tensor_parallel": 2}}
    large = serving_plan.chosen({"profile": "large", "profiles": profiles})
    assert large == Serving(model="b", tensor_parallel=2)
    assert serving_plan.chosen({"model": "a"}) == Serving(model="a")
    with pytest.raises(serving_plan.NoSuchProfile, match="dtype: stands beside"):
        serving_plan.chosen({"profile": "small", "profiles": profiles, "dtype": "auto"})
    with pytest.raises(serving_plan.NoSuchProfile, match="'huge' is none of small, large"):
        serving_plan.chosen({"profile": "huge", "profiles": profiles})


def test_tensor_parallel_takes_its_gpus_from_one_machine() -> None:
    plan = serving_plan.replica(Serving(tensor_parallel=2), "gpu", cores=8)
    assert plan["placement_group_config"] == {
        "bundles": [{"GPU": 1}, {"GPU": 1}],
        "strategy": "STRICT_PACK",
    }
    assert "kv_cache_memory_bytes" not in plan["engine_kwargs"]


def test_a_stopping_replica_may_finish_the_longest_generation() -> None:
    options = serving_plan.deployment(Serving(longest_generation=300))
    assert options["graceful_shutdown_timeout_s"] > 300


def test_adapters_are_loaded_with_the_model() -> None:
    assert "enable_lora" not in serving_plan.engine(Serving(), "gpu")
    arguments = serving_plan.engine(
        Serving(adapters={"un": "/a", "deux": "/b"}, adapters_rank=16), "gpu"
    )
    assert arguments["enable_lora"] is True
    assert (arguments["max_loras"], arguments["max_lora_rank"]) == (2, 16)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (Serving(model="/models/Qwen2.5-1.5B-Instruct"), "qwen2.5-1.5b-instruct"),
        (Serving(model="mistral-7b", name="redacteur"), "redacteur"),
    ],
)
def test_the_served_name(settings: Serving, name: str) -> None:
    assert serving_plan.served_name(settings) == name


def test_an_engine_is_silent_only_while_work_waits() -> None:
    pulse = Pulse(now=0)
    assert pulse.silent(now=1000, unfinished=0) == 0  # idle owes nothing
    assert pulse.silent(now=1010, unfinished=3) == 10
    pulse.step(now=1015)  # any step of the batch is a sign of life
    assert pulse.silent(now=1020, unfinished=3) == 5
    assert pulse.silent(now=1100, unfinished=3) == 85
    assert pulse.silent(now=1101, unfinished=0) == 0


def test_counters_of_replicas_stay_apart() -> None:
    one = '# HELP steps_total Steps.\n# TYPE steps_total counter\nsteps_total{engine="0"} 3.0\n'
    text = merged([one, one.replace("3.0", "4.0")], "replica")
    assert text.count("# TYPE") == 1
    (family,) = text_string_to_metric_families(text)
    values = {sample.labels["replica"]: sample.value for sample in family.samples}
    assert values == {"0": 3.0, "1": 4.0}


async def test_a_slow_replica_is_left_out_but_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("aiohttp", reason="it comes with Ray Serve")
    registry = CollectorRegistry()
    Counter("steps", "Steps.", registry=registry).inc(3)
    good, thread = start_http_server(0, "127.0.0.1", registry)
    forgotten: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as slow:
        with socket.create_server(("127.0.0.1", 0)) as ended:
            gone = _metrics(ended.getsockname()[1])
        urls = [_metrics(good.server_port), _metrics(slow.getsockname()[1]), gone]
        monkeypatch.setattr(exposition, "TIMEOUT", 1.0)
        monkeypatch.setattr(exposition, "_published", lambda: urls)
        monkeypatch.setattr(exposition, "_forget", forgotten.append)
        text = await exposition.gathered()
    good.shutdown()
    good.server_close()
    thread.join()
    assert 'steps_total{replica="0"} 3.0' in text
    assert forgotten == [gone]


def _metrics(port: int) -> str:
    return f"http://127.0.0.1:{port}/metrics"


def test_the_reaper_ends_its_own_and_no_others(tmp_path: Path) -> None:
    folder = tmp_path / "ray"
    folder.mkdir()
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    mine = subprocess.Popen(sleeping, env=os.environ | {ray_reaper.MARK: str(folder)})
    other = subprocess.Popen(sleeping, env=os.environ | {ray_reaper.MARK: str(tmp_path / "ray2")})
    try:
        assert mine.pid in ray_reaper.members(str(folder))
        ray_reaper.reap(str(folder), within=1)
        assert mine.wait(timeout=5) == -9
        assert other.poll() is None
        assert not folder.exists()
    finally:
        other.kill()
        other.wait()


def test_a_model_that_is_nowhere_is_said_before_ray_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOURCIER_CACHE", str(tmp_path))
    monkeypatch.setattr(serving, "load", lambda: _settings("absent"))
    assert serving.main([]) == 1
    assert "sourcier models import" in capsys.readouterr().err


def test_an_adapter_with_a_pickle_is_refused_before_ray_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOURCIER_CACHE", str(tmp_path))
    model, lora = model_folder(tmp_path / "model"), model_folder(tmp_path / "lora")
    (lora / "config.json").rename(lora / "adapter_config.json")
    wanted = Serving(model=str(model), adapters={"habile": str(lora)})
    assert serving._found(wanted).adapters == {"habile": str(lora)}
    (lora / "adapter_model.bin").write_bytes(b"")
    monkeypatch.setattr(serving, "load", lambda: _settings(str(model), habile=str(lora)))
    assert serving.main([]) == 1
    assert "adapter habile: adapter_model.bin may be a pickle" in capsys.readouterr().err
    monkeypatch.setattr(serving, "load", lambda: _settings(str(model), habile="absent"))
    assert serving.main([]) == 1
    assert "adapter habile: no model 'absent'" in capsys.readouterr().err


def _settings(model: str, **adapters: str) -> object:
    class Settings:
        serving = Serving(model=model, adapters=adapters)

    return Settings()


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_a_cpu_is_sent_few_drafts_at_once(
    device: Literal["cpu", "gpu"], capsys: pytest.CaptureFixture[str]
) -> None:
    serving._tell(Serving(name="m", device=device), 8000, None)
    told = capsys.readouterr().out
    assert "export SOURCIER_GENERATION__ENDPOINT=http://127.0.0.1:8000/v1\n" in told
    assert ("export SOURCIER_GENERATION__IN_FLIGHT=4\n" in told) == (device == "cpu")


def test_the_command_says_what_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "NEEDED", ("no_such_module",))
    monkeypatch.setattr(serve, "GPUS", tmp_path)
    told = CliRunner().invoke(app, ["serve"]).exception
    assert isinstance(told, Problem)
    assert str(told) == "vLLM is not installed here: run `make install-serve` first"
    (tmp_path / "0000:01:00.0").mkdir()
    assert "deploy/ray/requirements.in" in str(CliRunner().invoke(app, ["serve"]).exception)
