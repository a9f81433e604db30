"""The file of deploy/ray/ against Ray's and vLLM's own models; no GPU is needed for that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from shared.clock import utcnow
from shared.model_settings import Serving
from shared.models.directory import describe
from shared.models.policy import MANIFEST
from tests.fakes.model_folder import model_folder
from tests.llm.server import MARKS

pytestmark = MARKS

FILE = Path(__file__).parents[2] / "deploy" / "ray" / "serve.yaml"
PROGRAM = """
import json, sys, yaml
from ray._common.utils import import_attr
from ray.serve._private.build_app import build_app
from ray.serve.schema import ServeDeploySchema
schema = ServeDeploySchema.model_validate(yaml.safe_load(open(sys.argv[1])))
(given,) = schema.applications
for profile in given.args["profiles"]:
    args = given.args | {"profile": profile}
    built = build_app(import_attr(given.import_path)(args), name=given.name)
    (replica,) = (d for d in built.deployments if d.name != built.ingress_deployment_name)
    options = json.loads(replica._deployment_config.model_dump_json())
    print(json.dumps([options, replica._replica_config.placement_group_bundles]))
"""
"""In a process of its own: it imports Ray and vLLM."""


def test_each_profile_of_the_cluster_file_is_what_serve_deploy_takes() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, FILE],
        capture_output=True,
        text=True,
        check=False,
        env=environment,  # with bytecode the import takes half the time
    )
    assert done.returncode == 0, done.stderr
    args = yaml.safe_load(FILE.read_text())["applications"][0]["args"]
    assert args["profile"] in args["profiles"]
    assert list(args["profiles"]) == ["mistral-7b", "mixtral-8x7b"]
    lines = done.stdout.splitlines()[-2:]
    for given, line in zip(args["profiles"].values(), lines, strict=True):
        options, bundles = json.loads(line)
        serving = Serving.model_validate(given)
        assert options["autoscaling_config"]["max_replicas"] == serving.max_replicas
        assert options["max_queued_requests"] == serving.max_queued_requests
        assert options["graceful_shutdown_timeout_s"] > serving.longest_generation
        assert sum(bundle["GPU"] for bundle in bundles) == serving.tensor_parallel


ADAPTER = """
import asyncio, sys
from pathlib import Path
from services.generate import serving_plan
from services.generate.adapters import vllm_server
from shared.model_settings import Serving
model, *sources = sys.argv[1:]
given = Serving(model=model, adapters={f"a{n}": source for n, source in enumerate(sources)})
vllm_server.build_llm_deployment = lambda config, **_: built.append(config) or stop()
built = []
def stop(): raise InterruptedError
plan = serving_plan.replica(given, "gpu", 1)
try:
    vllm_server.application(plan, given.adapters, 1, 1)
except InterruptedError:
    pass
callback = built[0].get_or_create_callback()
asyncio.run(callback.on_before_node_init())
paths = [each.path for each in built[0].get_engine_config().frontend_kwargs["lora_modules"]]
assert paths == sources[:1] * 2, paths
Path(sources[0], "adapter_model.bin").write_bytes(b"")
asyncio.run(callback.on_before_node_init())
"""


def test_a_replica_looks_into_adapters_before_vllm_does(tmp_path: Path) -> None:
    model, lora = (model_folder(tmp_path / "models" / name) for name in ("model", "lora"))
    (lora / "config.json").rename(lora / "adapter_config.json")
    manifest = describe(lora, "lora", {}, "mit", utcnow())
    (lora / MANIFEST).write_text(manifest.model_dump_json())
    done = subprocess.run(
        [sys.executable, "-c", ADAPTER, str(model), str(lora), "org/lora"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SOURCIER_CACHE": str(tmp_path)},
    )
    assert "Refused: adapter a0: adapter_model.bin may be a pickle" in done.stderr
