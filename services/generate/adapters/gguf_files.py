"""A GGUF file as a transformers directory of bfloat16 safetensors (torch, in this process)."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
from transformers.utils import logging as transformers_logging

from shared.models.policy import CARD
from shared.settings import Misconfigured

NEEDED = ("gguf", "accelerate")


class ConversionFailed(Misconfigured):
    """The file cannot be converted; the message says why."""


def convert(gguf: Path, target: Path) -> None:
    """Write weights, settings, tokenizer, chat template and a model card into ``target``.

    Takes about 1.6 times the converted weights in memory. Raises ``ConversionFailed``.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConversionFailed(
            f"converting GGUF takes {' and '.join(missing)}: run `make install-serve` first"
        )
    if not sys.stderr.isatty():
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # the same
    try:
        model, tokenizer = _load(gguf)
    except Exception as error:
        raise ConversionFailed(f"{gguf.name} cannot be read as GGUF: {error!r}") from error
    if not tokenizer.chat_template:
        raise ConversionFailed(f"{gguf.name} has no chat template: it is no instruct model")
    tokenizer.model_max_length = model.config.max_position_embeddings
    target.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    (target / CARD).write_text(_card(gguf))


def _load(gguf: Path) -> tuple[Any, Any]:
    folder, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    return model, tokenizer


def _card(gguf: Path) -> str:
    """A card of what the file says of itself."""
    from gguf import GGUFReader

    fields = GGUFReader(gguf).fields
    said = {
        key: str(fields[f"general.{key}"].contents())
        for key in ("license", "name", "organization", "source.url")
        if f"general.{key}" in fields
    }
    licence = said.pop("license", None)
    head = f"license: {licence}\n" if licence else ""
    lines = "\n".join(f"- {key}: {' '.join(value.split())}" for key, value in said.items())
    title = f"# {gguf.stem}\n\nConverted from GGUF to bfloat16 safetensors."
    return f"---\n{head}---\n{title}\n\n{lines}\n"
