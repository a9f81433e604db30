"""The packed weights: parsing, unpacking, damage, and the directory written from them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from tokenizers import Tokenizer

from services.embed import bert, weights
from services.embed.adapters import model_files

HIDDEN, LAYERS, FEED_FORWARD, POSITIONS = 32, 1, 64, 16
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    *(f"▁{c}" for c in LETTERS),
    *LETTERS,
    "▁étude",
    "<mask>",
]
SOURCE = {"package": "made==1", "member": "made.bin", "sha256": "0" * 64}
SPACES = "\u0009\u200b\u2581"
DROPPED = "\u0001\u007f"


def packed_file() -> bytes:
    """A model of one layer in the packing's format."""
    vocabulary = len(PIECES) + 2
    head = b"E5S1" + struct.pack(
        "<I7ifi", 1, HIDDEN, LAYERS, 2, FEED_FORWARD, vocabulary, POSITIONS, 2, 1e-12, 32
    )
    texts = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, texts)])
    scores = [0.0] * 4 + [-float(len(p) < 3) * 5 - 1 for p in PIECES[4:]]
    vocab = struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, texts)))
    vocab += offsets.astype("<u4").tobytes() + np.array(scores, "<f4").tobytes() + b"".join(texts)
    mapped = {**dict.fromkeys(SPACES, " "), **dict.fromkeys(DROPPED, ""), "ﬁ": "fi"}
    normal = b"".join(
        struct.pack(f"<IB{len(to)}I", ord(c), len(to), *map(ord, to)) for c, to in mapped.items()
    )
    vocab += struct.pack("<iI", len(mapped), len(normal)) + normal
    return _with_tensors(head + vocab, vocabulary)


def _with_tensors(head: bytes, vocabulary: int) -> bytes:
    random = np.random.default_rng(7)
    shell = weights.Packed(
        memoryview(b""), HIDDEN, LAYERS, 2, FEED_FORWARD, vocabulary, POSITIONS, 2, 1e-12,
        0, 2, 1, 3, (), (), {}, {},
    )  # fmt: skip
    bodies = []
    for _, name, shape in bert.bert_names(shell):
        count = int(np.prod(shape))
        if len(shape) == 2 and name not in ("emb.pos", "emb.type"):
            blocks = np.empty(count // 32, weights.Q4_BLOCK)
            blocks["scale"] = random.uniform(0.01, 0.02, len(blocks))
            blocks["nibbles"] = random.integers(0, 256, (len(blocks), 16))
            bodies.append((name, 1, count, blocks.tobytes()))
        else:
            bodies.append((name, 0, count, random.normal(0, 0.1, count).astype("<f4").tobytes()))
    size = 4 + sum(2 + len(name) + 21 for name, *_ in bodies)
    directory, at = struct.pack("<i", len(bodies)), len(head) + size
    for name, kind, count, body in bodies:
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, count, at, len(body))
        at += len(body)
    return head + directory + b"".join(body for *_, body in bodies)


@pytest.fixture(scope="module")
def data() -> bytes:
    return packed_file()


def test_the_header_and_vocabulary_are_read(data: bytes) -> None:
    packed = weights.parse(data)
    assert (packed.hidden, packed.layers, packed.positions) == (HIDDEN, LAYERS, POSITIONS)
    assert list(packed.pieces) == PIECES
    assert (packed.bos, packed.eos, packed.pad, packed.unk) == (0, 2, 1, 3)
    assert packed.characters["ﬁ"] == "fi"


def test_four_bit_blocks_are_unpacked_low_nibbles_first() -> None:
    block = struct.pack("<e16B", 0.5, *(n | ((15 - n) << 4) for n in range(16)))
    expected = [0.5 * (n - 8) for n in range(16)] + [0.5 * (7 - n) for n in range(16)]
    assert weights.dequantise(block).tolist() == expected


def test_bfloat16_rounds_to_nearest_even() -> None:
    import torch

    values = np.random.default_rng(1).normal(0, 3, 5000).astype(np.float32)
    values[:4] = (0.0, -0.0, 1.00390625, 1.01171875)  # the last two lie halfway
    expected = torch.from_numpy(values).to(torch.bfloat16).view(torch.int16).numpy()
    assert np.array_equal(weights.bfloat16(values).view(np.int16), expected)


@pytest.mark.parametrize("keep", [0, 3, 20, 60, 400, 2000])
def test_a_file_cut_short_is_refused(data: bytes, keep: int) -> None:
    with pytest.raises(weights.WeightsError):
        weights.parse(data[:keep])


def test_other_bytes_and_versions_are_refused(data: bytes) -> None:
    with pytest.raises(weights.WeightsError, match="not an E5 packing"):
        weights.parse(b"GGUF" + data[4:])
    with pytest.raises(weights.WeightsError, match="version 9"):
        weights.parse(data[:4] + struct.pack("<I", 9) + data[8:])


def test_a_tensor_that_is_missing_or_of_another_size_is_refused(data: bytes) -> None:
    packed = weights.parse(data)
    with pytest.raises(weights.WeightsError, match=r"l9\.q\.w is missing"):
        weights.tensor(packed, "l9.q.w", (32, 32))
    with pytest.raises(weights.WeightsError, match="1024 values, not 64"):
        weights.tensor(packed, "l0.q.w", (8, 8))


def test_the_tokenizer_normalises_as_sentencepiece_does(data: bytes) -> None:
    tokenizer = Tokenizer.from_str(json.dumps(bert.tokenizer_json(weights.parse(data))))
    encoded = tokenizer.encode("a\tb\u200b  c\u0001d ﬁ E\u0301tude étude ")
    assert encoded.tokens[0] == "<s>"
    assert encoded.tokens[-1] == "</s>"
    assert encoded.tokens[1:5] == ["▁a", "▁b", "▁c", "d"]
    assert encoded.tokens[5:7] == ["▁f", "i"]
    assert encoded.tokens[-2] == "▁étude"
    assert tokenizer.encode("a", "b").ids.count(2) == 3


def test_the_directory_is_whole_verified_and_usable(data: bytes, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    packed, steps = weights.parse(data), []
    target = tmp_path / "cache" / "model"
    model_files.write(packed, SOURCE, target, lambda done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1] > 0
    assert [p.name for p in target.parent.iterdir()] == ["model"]
    assert model_files.problem(target, SOURCE) is None
    with safe_open(target / "model.safetensors", "pt") as file:
        stored = file.get_tensor("encoder.layer.0.attention.self.query.weight").float().numpy()
    exact = weights.tensor(packed, "l0.q.w", (HIDDEN, HIDDEN))
    np.testing.assert_allclose(stored, exact, rtol=2**-8)
    model = SentenceTransformer(str(target), device="cpu", local_files_only=True)
    vectors = model.encode(["une étude", "abc"], convert_to_tensor=True).float().numpy()
    assert vectors.shape == (2, HIDDEN)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=0.01)


def test_a_changed_or_missing_file_is_noticed(data: bytes, tmp_path: Path) -> None:
    target = tmp_path / "model"
    assert model_files.problem(target, SOURCE) == "it is not there yet"
    model_files.write(weights.parse(data), SOURCE, target, lambda *_: None)
    assert "another source" in str(model_files.problem(target, {**SOURCE, "sha256": "1" * 64}))
    (target / "tokenizer.json").write_text("{}")
    (target / "1_Pooling" / "config.json").unlink()
    found = model_files.problem(target, SOURCE)
    assert found == "changed or missing: 1_Pooling/config.json, tokenizer.json"
    (target / "manifest.json").write_text("{")
    assert "cannot be read" in str(model_files.problem(target, SOURCE))
