"""A LoRA adapter of random weights, in the files that training would write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

RANK = 8


def write(model: Path, folder: Path) -> None:
    """An adapter of ``model``'s attention outputs, strong enough to change every answer."""
    config = json.loads((model / "config.json").read_text())
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    chance = np.random.default_rng(7)
    tensors = {}
    for layer in range(layers):
        name = f"base_model.model.model.layers.{layer}.self_attn.o_proj"
        for side, shape in (("A", (RANK, hidden)), ("B", (hidden, RANK))):
            values = chance.normal(0, 0.2, shape).astype(np.float32)
            tensors[f"{name}.lora_{side}.weight"] = values
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": RANK,
        "target_modules": ["o_proj"],
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings))
