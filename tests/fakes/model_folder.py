"""A small model directory, its weights written by the safetensors library itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

CARD = "---\nlicense: Apache-2.0\nlanguage:\n- fr\n---\n# Petit modèle\n"


def model_folder(folder: Path, values: int = 12, card: str = CARD) -> Path:
    """A folder that the policy lets in, of ``values`` float32 weights."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {"a": np.arange(values, dtype=np.float32), "b": np.zeros((2, 3), np.float16)},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "tokenizer.json").write_text(json.dumps({"vocab": {"auto_map": 7, "é": 8}}))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "README.md").write_text(card)
    (folder / "LICENSE").write_text("Apache License, Version 2.0")
    (folder / "merges.txt").write_text("")
    return folder
