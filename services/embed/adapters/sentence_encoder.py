"""Dense vectors by a sentence-transformers model in this process (torch)."""

import json
import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging as transformers_logging

from shared import telemetry
from shared.settings import Misconfigured

CPU_BATCH_TOKENS = 1024
"""Larger batches gain nothing on a CPU (measured: 2,048 the same, 8,192 an eighth slower)."""
MAX_ITEMS = 256
TOKENISED_AT_ONCE = 64
"""Texts whose offsets, words and masks the tokenizer keeps beside their ids until they are read."""
WIDTH = 8
"""Batches are as wide as a multiple of it: few shapes, for each of which oneDNN makes code."""

Vectors = npt.NDArray[np.float32]
Tokens = list[int]


class ModelUnfit(Misconfigured):
    """The directory's model cannot be used; the message says why."""


class SentenceEncoder:
    """A Transformer and the modules after it (pooling, normalisation, …) as `modules.json` says.

    The first module is loaded here and not by `SentenceTransformer`: its tokenizer wrapper takes
    540 MB and 4 s for a vocabulary of 250,000 pieces, the tokenizer below it 290 MB and 1 s.
    Not safe for use by several threads at once, except `tokenise`.
    """

    def __init__(self, directory: Path, *, device: str = "auto", token_budget: int = 8192) -> None:
        transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the same
        self.device = choose_device(device)
        cpu = self.device == "cpu"
        self.batch_tokens = min(token_budget, CPU_BATCH_TOKENS) if cpu else token_budget
        self.batch_items = MAX_ITEMS
        if cpu:
            torch.set_num_threads(cores())
        modules = json.loads((directory / "modules.json").read_text())
        if not modules or not modules[0]["type"].endswith(".Transformer"):
            raise ModelUnfit(f"{directory}: the first module of modules.json is no Transformer")
        first = directory / modules[0]["path"]
        self._model = _load_transformer(first, self.device)
        self._tokenizer, self.max_tokens = _load_tokenizer(first, self._model)
        self._pad = int(self._model.config.pad_token_id or 0)
        self._after = [_load_module(directory, entry, self.device) for entry in modules[1:]]
        self.dimension = int(self.encode([self.tokenise(["dimension"])[0]]).shape[1])

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids with the special ones, cut to the model's `max_tokens`."""
        return [
            encoding.ids
            for start in range(0, len(texts), TOKENISED_AT_ONCE)
            for encoding in self._tokenizer.encode_batch_fast(
                list(texts[start : start + TOKENISED_AT_ONCE])
            )
        ]

    def encode(self, batch: Sequence[Tokens]) -> Vectors:
        """One forward pass: L2-normalised vectors, shape (len(batch), dimension)."""
        telemetry.BATCH.observe(len(batch))
        longest = min(-(-max(map(len, batch)) // WIDTH) * WIDTH, self.max_tokens)
        ids = torch.full((len(batch), longest), self._pad)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        with torch.inference_mode():
            ids, mask = ids.to(self.device), mask.to(self.device)
            states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
            features = {"token_embeddings": states.float(), "attention_mask": mask}
            for module in self._after:
                features = module(features)
            unit = torch.nn.functional.normalize(features["sentence_embedding"], dim=1)
            return np.asarray(unit.cpu().numpy(), dtype=np.float32)


def choose_device(wish: str) -> str:
    """`wish`, or the best there is when it is `auto`: cuda, mps, cpu."""
    if wish != "auto":
        return wish
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def cores() -> int:
    """Cores that this process may use; `OMP_NUM_THREADS` overrides them."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compute_type(device: str) -> torch.dtype:
    """bfloat16 where the machine multiplies it natively, else float32 (float16 on older GPUs)."""
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    able = torch.cpu.get_capabilities()
    native = device == "cpu" and (able.get("avx512_bf16") or able.get("amx_bf16"))
    return torch.bfloat16 if native else torch.float32


def _load_transformer(folder: Path, device: str) -> PreTrainedModel:
    """The model in `compute_type`; on the CPU its word table stays mapped from the file.

    There only its rows in use take memory, and no second copy of it is made at any time.
    """
    wanted = compute_type(device)
    model: PreTrainedModel = _from_files(folder, "auto" if device == "cpu" else wanted)
    embeddings, encoder = getattr(model, "embeddings", None), getattr(model, "encoder", None)
    if device != "cpu" or embeddings is None or encoder is None:
        return cast(PreTrainedModel, _to(model, wanted, device))
    _to(encoder, wanted, device)
    embeddings.register_forward_hook(lambda _module, _inputs, output: output.to(wanted))
    return model


def _to(module: Any, dtype: torch.dtype, device: str) -> Any:
    return module.to(dtype=dtype, device=device)


def _from_files(folder: Path, dtype: torch.dtype | str) -> Any:
    settings: dict[str, Any] = {"dtype": dtype, "local_files_only": True}
    try:
        try:
            # A pooler would be filled with random numbers and never used.
            return AutoModel.from_pretrained(folder, add_pooling_layer=False, **settings).eval()
        except TypeError:  # not every architecture has one
            return AutoModel.from_pretrained(folder, **settings).eval()
    except (OSError, ValueError) as error:
        raise ModelUnfit(f"{folder}: the model cannot be loaded: {error}") from error


def _load_tokenizer(folder: Path, model: PreTrainedModel) -> tuple[Tokenizer, int]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    limits = list(_token_limits(folder, model))
    longest = min(limits) if limits else 512
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest)
    return tokenizer, longest


def _token_limits(folder: Path, model: PreTrainedModel) -> Iterator[int]:
    """What the model's files say of the longest input, in tokens."""
    for name, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        path = folder / name
        value = json.loads(path.read_text()).get(key) if path.is_file() else None
        # Tokenizers without a limit say 1e30.
        if isinstance(value, int | float) and 0 < value < 1 << 20:
            yield int(value)
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions:
        # Position ids of the RoBERTa family begin after the padding's.
        roberta = "roberta" in str(model.config.model_type)
        yield int(positions) - (int(model.config.pad_token_id or 0) + 1 if roberta else 0)


def _load_module(directory: Path, entry: dict[str, Any], device: str) -> torch.nn.Module:
    """A module after the Transformer, of the class that `modules.json` names."""
    kind = str(entry["type"])
    if not kind.startswith("sentence_transformers."):
        raise ModelUnfit(f"{directory}: {kind} is code of the model's own, which is not run")
    place, _, name = kind.rpartition(".")
    cls = getattr(import_module(place), name)
    module = cls.load(str(directory), subfolder=entry["path"], local_files_only=True)
    if not isinstance(module, torch.nn.Module):
        raise ModelUnfit(f"{directory}: {kind} is no module")
    return module.to(device).eval()
