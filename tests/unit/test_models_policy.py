"""What may be in a model directory: attacks are refused by name, real models are let in."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from shared.models import directory, policy, weights
from shared.models.licences import front_matter, licence_of
from shared.models.policy import Refused
from tests.fakes.model_folder import model_folder

ALLOWED = ("apache-2.0", "mit")


class Attack:
    """Unpickled, it would run a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("echo attacked",)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "model")


def test_a_model_is_let_in_and_what_it_does_not_need_is_left_out(model: Path) -> None:
    (model / ".gitattributes").write_text("*.bin filter=lfs")
    (model / "figure.png").write_bytes(b"\x89PNG")
    (model / ".git").mkdir()
    (model / ".git" / "hook.py").write_text("")
    taken, left = directory.listing(model)
    assert set(taken) == {
        *("model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"),
        *("README.md", "LICENSE", "merges.txt"),
    }
    assert left == [".gitattributes", "figure.png"]
    assert directory.check(model) == taken


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("pytorch_model.bin", "may be a pickle"),
        ("sub/PYTORCH.BIN", "may be a pickle"),
        ("optimizer.pt", "may be a pickle"),
        ("consolidated.00.pth", "may be a pickle"),
        ("last.ckpt", "may be a pickle"),
        ("vectors.npy", "may be a pickle"),
        ("modeling_qwen.py", "is code"),
        ("kernel.so", "is code"),
        ("model-Q4_K_M.gguf", "is GGUF"),
        ("model.onnx", "none of the files"),
        ("tf_model.h5", "none of the files"),
        ("weights", "none of the files"),
        ("a/b/c/d/config.json", "deeper than"),
    ],
)
def test_files_that_are_refused_are_named(model: Path, name: str, why: str) -> None:
    (model / name).parent.mkdir(parents=True, exist_ok=True)
    (model / name).write_bytes(b"")
    with pytest.raises(Refused, match=f"{name}.*{why}"):
        directory.check(model)


@pytest.mark.parametrize(
    "name", ["../a.json", "/a.json", "a/../../b.json", "a\\b.json", "a\n.json"]
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(Refused, match=r"leads out|characters"):
        policy.sort([name])


def test_links_may_not_leave_the_folder(model: Path, tmp_path: Path) -> None:
    (model / "copy.json").symlink_to(model / "config.json")
    assert "copy.json" in directory.check(model)
    outside = tmp_path / "secret.json"
    outside.write_text("{}")
    (model / "extra.json").symlink_to(outside)
    with pytest.raises(Refused, match=r"extra\.json is a link out of the folder"):
        directory.check(model)
    (model / "extra.json").unlink()
    (model / "sub").symlink_to(tmp_path)
    with pytest.raises(Refused, match="sub is a link out of the folder"):
        directory.check(model)


def test_what_is_no_file_is_refused(model: Path) -> None:
    os.mkfifo(model / "pipe.json")
    with pytest.raises(Refused, match=r"pipe\.json is neither a file nor a folder"):
        directory.check(model)


@pytest.mark.parametrize(
    "content",
    [
        {"auto_map": {"AutoModel": "modeling.Custom"}},
        {"nested": [{"auto_map": "modeling.Custom"}]},
        {"trust_remote_code": True},
        {"custom_pipelines": {"x": {"impl": "code.Pipeline"}}},
    ],
)
def test_a_wish_for_code_is_refused_wherever_it_stands(model: Path, content: Any) -> None:
    for name in ("config.json", "tokenizer_config.json", "1_Pooling/config.json"):
        path = model / name
        before = path.read_text() if path.exists() else None
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
        with pytest.raises(Refused, match=f"{name} asks for code of the model's own"):
            directory.check(model)
        path.write_text(before) if before else path.unlink()


def test_a_wish_for_code_cannot_hide(model: Path) -> None:
    for text in (
        '{"\\u0061uto_map": {"AutoModel": "m.C"}}',
        '{"auto_map": {"AutoModel": "m.C"}, "auto_map": {}}',
    ):
        (model / "config.json").write_text(text)
        with pytest.raises(Refused, match="asks for code"):
            directory.check(model)
    (model / "config.json").write_text('{"auto_map": {}, "trust_remote_code": false}')
    directory.check(model)


def test_modules_of_other_libraries_are_refused(model: Path) -> None:
    (model / "modules.json").write_text('[{"type": "os.system"}]')
    with pytest.raises(Refused, match=r"names os\.system, code of the model's own"):
        directory.check(model)
    kind = "sentence_transformers.base.modules.Dense"
    (model / "modules.json").write_text(json.dumps([{"type": kind, "path": "../other"}]))
    with pytest.raises(Refused, match=r"'\.\./other' leads out"):
        directory.check(model)
    (model / "modules.json").write_text(json.dumps([{"type": kind, "path": ""}]))
    directory.check(model)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("config.json", b"\x80\x04\x95" + bytes(9), "not the text"),
        ("config.json", b"{" * 100_000, "cannot be read as JSON"),
        ("config.json", b"[" * 100_000, "cannot be read as JSON"),
        ("vocab.txt", pickle.dumps(Attack()), "not the text"),
        ("merges.txt", b"a\0b", "NUL"),
        ("chat_template.jinja", b"\xff\xfe", "not the text"),
        ("tokenizer.model", pickle.dumps(Attack(), protocol=0), "no SentencePiece"),
        ("tokenizer.model", pickle.dumps(Attack()), "no SentencePiece"),
        ("tokenizer.model.v3", b"PK\x03\x04", "no SentencePiece"),
        ("o200k.tiktoken", b"", "no SentencePiece"),
    ],
)
def test_content_must_be_what_the_name_says(model: Path, name: str, data: bytes, why: str) -> None:
    (model / name).write_bytes(data)
    with pytest.raises(Refused, match=f"{name} .*{why}"):
        directory.check(model)


def test_vocabularies_are_let_in() -> None:
    policy.check_content("tokenizer.model", b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02")
    policy.check_content("tokenizer.model", b"IQ== 0\nIg== 1\r\nw6k= 233\n")


def test_weights_or_settings_or_shards_that_are_missing_are_named(model: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(Refused, match=r"lists model-2\.safetensors, which is not there"):
        directory.check(model)
    (model / "model.safetensors.index.json").unlink()
    (model / "model.safetensors").rename(model / "weights.txt")
    (model / "weights.txt").write_text("")
    with pytest.raises(Refused, match="there are no weights"):
        directory.check(model)
    (model / "weights.txt").write_bytes(b"")
    model_folder(model)
    (model / "config.json").unlink()
    with pytest.raises(Refused, match=r"there is no config\.json"):
        directory.check(model)


# -- safetensors ------------------------------------------------------------------------------


def file_of(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def ours(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        header = file.read(weights.header_length(path.name, first, size))
    weights.check_header(path.name, header, size)


def entry(kind: str = "F32", shape: Any = (2,), span: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": kind, "shape": list(shape), "data_offsets": list(span)}


def torch_zip(path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Attack()))
    return path.read_bytes()


BAD = {
    "a pickle": pickle.dumps(Attack()),
    "a long pickle": pickle.dumps([Attack(), "x" * 100_000]),
    "empty": b"",
    "seven bytes": bytes(7),
    "only a length": struct.pack("<Q", 2),
    "a header longer than the file": struct.pack("<Q", 1 << 40) + b"{}",
    "a header that is no JSON": file_of(b"\x80\x04}."),
    "a header that is a list": file_of([]),
    "bytes after the tensors": file_of({"a": entry()}, bytes(8) + pickle.dumps(Attack())),
    "bytes between the tensors": file_of({"a": entry(), "b": entry(span=(12, 20))}, bytes(20)),
    "overlapping tensors": file_of({"a": entry(), "b": entry(span=(4, 12))}, bytes(12)),
    "a tensor that is cut short": file_of({"a": entry()}, bytes(7)),
    "a shape that is not the size": file_of({"a": entry(shape=(3,))}, bytes(8)),
    "a type that is none": file_of({"a": entry("PICKLE")}, bytes(8)),
    "a negative shape": file_of({"a": entry(shape=(-2, -1))}, bytes(8)),
    "metadata that is no text": file_of({"__metadata__": {"a": [1]}}),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_is_no_safetensors_is_refused_by_the_library_and_by_us(
    data: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises((SafetensorError, OSError)), safe_open(path, "np"):
        pass
    with pytest.raises(Refused, match=r"model\.safetensors"):
        ours(path)


def test_an_archive_of_pickles_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(torch_zip(tmp_path / "zip"))
    with pytest.raises(Refused, match="no safetensors file"):
        ours(path)


def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    one = json.dumps(entry()).encode()
    path.write_bytes(file_of(b'{"a":' + one + b',"a":' + one + b"}", bytes(8)))
    with pytest.raises(Refused, match="twice"):
        ours(path)


def test_a_huge_header_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 1 << 36))
        file.truncate(1 << 37)  # sparse
    with pytest.raises(Refused, match="a header of 68719476736 bytes"):
        ours(path)


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int8, np.uint64, np.bool_])
def test_what_the_library_writes_is_let_in(kind: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tensors = {"a": np.ones((3, 5), kind), "none": np.zeros((0, 4), kind), "scalar": kind(1)}
    path.write_bytes(save({n: np.asarray(t) for n, t in tensors.items()}, {"format": "np"}))
    ours(path)


# -- licences ---------------------------------------------------------------------------------


def test_the_licence_is_that_of_the_card_or_the_one_given() -> None:
    card = "---\nlicense: MIT\n---\n# x"
    assert licence_of(card, None, ALLOWED) == "mit"
    assert licence_of("---\nlicense:\n- apache-2.0\n---\n", None, ALLOWED) == "apache-2.0"
    assert licence_of(card, "Apache-2.0", ALLOWED) == "apache-2.0"
    assert licence_of(None, "mit", ALLOWED) == "mit"


@pytest.mark.parametrize(
    "card",
    [
        None,
        "# no front matter",
        "---\nlicense:\n- mit\n- gpl-3.0\n---\n",
        "---\nlicense: [\n---\n",
        "---\n- a list\n---\n",
        "---\nlicense: mit",
        "---\nlicense: 3\n---\n",
    ],
)
def test_an_unknown_licence_is_refused_with_what_to_do(card: str | None) -> None:
    with pytest.raises(Refused, match="say it with --licence"):
        licence_of(card, None, ALLOWED)


def test_a_licence_that_is_not_let_in_says_where_to_add_it() -> None:
    with pytest.raises(Refused, match=r"'llama3'.*add it to \[models\] licences"):
        licence_of("---\nlicense: llama3\n---\n", None, ALLOWED)


def test_front_matter_ends_at_its_second_line_of_dashes() -> None:
    assert front_matter("\ufeff---\r\nlicense: mit\r\n---\r\nlicense: gpl") == {"license": "mit"}
