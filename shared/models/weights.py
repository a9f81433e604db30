"""The header of a safetensors file, read without its tensors. Pure: bytes in, figures out.

The format (github.com/huggingface/safetensors): the length of a JSON header as u64 little endian,
the header, then the tensors without gaps. A pickle or an archive by that name does not pass.
"""

from __future__ import annotations

import json
import math
from typing import Any

from shared.models.policy import Refused
from shared.settings import MIB

LENGTH = 8
MAX_HEADER = 16 * MIB
"""Bytes; the largest models' shards have headers below 1 MiB."""
BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E5M2FNUZ", "F8_E4M3FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}
"""Bits of a value by type."""


def header_length(name: str, first: bytes, size: int) -> int:
    """Bytes of the header after the first 8, of a file of ``size``. Raises ``Refused``."""
    length = int.from_bytes(first[:LENGTH], "little")
    if len(first) < LENGTH or length > size - LENGTH:
        raise Refused(f"{name} is no safetensors file, whatever its name says, or is cut short")
    if length > MAX_HEADER:
        raise Refused(f"{name} has a header of {length} bytes, more than {MAX_HEADER}")
    return length


def check_header(name: str, header: bytes, size: int) -> dict[str, Any]:
    """The tensors' entries by name, which fill the rest of a file of ``size`` bytes exactly.

    Raises ``Refused``.
    """
    try:
        entries = json.loads(header, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{name} is no safetensors file: its header is no JSON ({error})") from error
    if header[:1] != b"{" or not isinstance(entries, dict):
        raise Refused(f"{name} is no safetensors file: its header is no JSON object")
    said = entries.pop("__metadata__", {})
    if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
        raise Refused(f"{name} has metadata other than text")
    end = 0
    for start, stop in sorted(_span(name, tensor, entry) for tensor, entry in entries.items()):
        if start != end:
            raise Refused(f"{name} has tensors that overlap, or bytes that belong to none")
        end = stop
    if end != size - LENGTH - len(header):
        raise Refused(f"{name} has {size} bytes, its header says otherwise: copy it again")
    return entries


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _span(name: str, tensor: str, entry: Any) -> tuple[int, int]:
    """Where a tensor lies, checked against its type and shape."""
    try:
        bits, shape, (start, stop) = BITS[entry["dtype"]], entry["shape"], entry["data_offsets"]
        numbers = [*shape, start, stop]
        fine = all(type(n) is int and n >= 0 for n in numbers)
        fine = fine and (stop - start) * 8 == bits * math.prod(shape)
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"{name}: tensor {tensor!r} is described wrongly ({error!r})") from error
    if not fine:
        raise Refused(f"{name}: tensor {tensor!r} is not as large as its shape says")
    return start, stop
