"""`sourcier models import`: from each kind of source; what is refused leaves nothing behind."""

from __future__ import annotations

import errno
import hashlib
import http.server
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.model_settings import Models
from shared.models import conversion, directory, importing
from shared.models.bars import Watch
from shared.models.hub import HubUnreachable, download
from shared.models.importing import Imported
from shared.models.local import local
from shared.models.policy import Refused
from shared.settings import Misconfigured, model_cache
from tests.fakes.model_folder import CARD, model_folder

QUIET: Watch = lambda _label, _size: lambda _count: None  # noqa: E731 - shorter so
COMMIT = "c0ffee" * 6 + "c0ff"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOURCIER_CACHE", str(tmp_path / "cache"))
    return model_cache()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "Petit_Modèle.v1")


def bring(source: str | Path, name: str | None = None, licence: str | None = None) -> Imported:
    return importing.bring(str(source), QUIET, Models(), name=name, licence=licence)


def test_a_directory_becomes_a_model_that_services_find(folder: Path, cache: Path) -> None:
    (folder / "figure.png").write_bytes(b"")
    (folder / "link.json").symlink_to(folder / "config.json")
    got = bring(folder)
    assert got.left_out == ["figure.png"]
    assert got.manifest.name == "petit_mod-le.v1"
    assert (got.manifest.kind, got.manifest.licence) == ("chat", "apache-2.0")
    assert got.manifest.source == {"directory": folder.name}
    assert local("petit_mod-le.v1") == got.directory == cache / "petit_mod-le.v1"
    assert not (got.directory / "link.json").is_symlink()
    assert (got.directory / "README.md").read_text() == CARD
    assert {p.name for p in cache.iterdir()} == {got.manifest.name, f"{got.manifest.name}.lock"}
    assert bring("petit_mod-le.v1") == Imported(got.directory, got.manifest)  # verified only
    assert bring(got.directory) == Imported(got.directory, got.manifest)


def test_the_kind_is_seen_by_the_files(folder: Path) -> None:
    (folder / "modules.json").write_text("[]")
    assert bring(folder, name="embedder").manifest.kind == "embedding"
    (folder / "modules.json").unlink()
    (folder / "config.json").rename(folder / "adapter_config.json")
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    assert bring(folder, name="lora").manifest.kind == "adapter"


def test_a_damaged_cached_model_is_not_let_into_the_store(folder: Path) -> None:
    got = bring(folder, name="one")
    path = got.directory / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    for options in ({}, {"name": "two"}, {"licence": "mit"}):
        with pytest.raises(
            Refused, match=r"is damaged \(model\.safetensors\).*directory Petit_Mod"
        ):
            bring("one", **options)
    assert bring(folder, name="one").manifest.files == got.manifest.files
    assert bring("one").directory == got.directory


def test_a_cached_model_gets_another_name_or_licence(folder: Path) -> None:
    got = bring(folder, name="one")
    again = bring("one", name="two", licence="mit").manifest
    assert (again.name, again.licence, again.digest) == ("two", "mit", got.manifest.digest)
    assert bring(got.directory, licence="mit").manifest.licence == "mit"
    assert bring("one").manifest.licence == "mit"


def test_an_archive_or_wheel_with_a_directory(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "Modele-2.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"top/{file.name}")
    got = bring(path)
    assert got.manifest.name == "modele-2"
    assert got.manifest.source["sha256"] == directory.sha256(path)


def test_gguf_is_converted_alone_or_in_a_wheel(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted: list[bytes] = []

    def convert(gguf: Path, target: Path) -> None:
        converted.append(gguf.read_bytes())
        model_folder(target)

    monkeypatch.setattr(conversion, "convert", convert)
    (tmp_path / "Small.gguf").write_bytes(b"GGUF1")
    assert bring(tmp_path / "Small.gguf").manifest.name == "small"
    with zipfile.ZipFile(tmp_path / "made-1.0.whl", "w") as wheel:
        wheel.writestr("made/__init__.py", "")
        wheel.writestr("made/Other.gguf", b"GGUF2")
    got = bring(tmp_path / "made-1.0.whl", name="other")
    assert got.left_out == ["made/__init__.py"]
    assert converted == [b"GGUF1", b"GGUF2"]
    assert not list(got.directory.glob("*.gguf"))


def test_what_is_refused_leaves_nothing_behind(folder: Path, cache: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(Refused, match=r"pytorch_model\.bin"):
        bring(folder)
    (folder / "pytorch_model.bin").unlink()
    (folder / "README.md").write_text("# no licence")
    with pytest.raises(Refused, match="say it with --licence"):
        bring(folder)
    with pytest.raises(Refused, match=r"'gpl-3\.0' is not one of those let in"):
        bring(folder, licence="gpl-3.0")
    assert [p.suffix for p in cache.iterdir()] == [".lock"]
    assert bring(folder, licence="mit").manifest.licence == "mit"


def test_other_sources_are_named(tmp_path: Path) -> None:
    (tmp_path / "model.rar").write_bytes(b"")
    with pytest.raises(Misconfigured, match=r"model\.rar is none of"):
        bring(tmp_path / "model.rar")
    with pytest.raises(Misconfigured, match="neither a directory, an archive"):
        bring(tmp_path / "nothing")


# -- hub ---------------------------------------------------------------------------------------


class Hub(http.server.ThreadingHTTPServer):
    """What the hub's client needs of a hub: one repository ``org/Petit``."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = files
        self.got: list[str] = []
        self.broken = False
        """Whether it fails to give weights."""


class Answer(http.server.BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        files = self.server.files
        listed = [{"rfilename": name} for name in files]
        if self.path.startswith(f"/api/models/org/Petit/tree/{COMMIT}"):
            tree = [{"type": "file", "path": n, "size": len(d), "oid": n} for n, d in files.items()]
            return self._send(json.dumps(tree).encode())
        if self.path.startswith("/api/models/org/Petit"):
            info = {"id": "org/Petit", "sha": COMMIT, "siblings": listed}
            return self._send(json.dumps(info).encode())
        name = self.path.removeprefix(f"/org/Petit/resolve/{COMMIT}/")
        if name in files and not (self.server.broken and name.endswith(".safetensors")):
            if self.command == "GET":
                self.server.got.append(name)
            return self._send(files[name])
        self.send_error(404)
        return None

    do_HEAD = do_GET

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(folder: Path) -> Iterator[Hub]:
    server = Hub({path.name: path.read_bytes() for path in folder.iterdir()})
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def sourcier(endpoint: str, cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: the hub's client reads HF_ENDPOINT once."""
    env = {
        "PATH": "",
        "HOME": str(cache),
        "SOURCIER_CACHE": str(cache.parent),
        "HF_ENDPOINT": endpoint,
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "shared.cli.main", "models", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_a_hubs_model_without_its_pickles_and_code(hub: Hub, cache: Path) -> None:
    hub.files |= {"pytorch_model.bin": b"", "train.py": b"", "onnx/model.onnx": b""}
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    done = sourcier(endpoint, cache, "import", "org/Petit")
    assert done.returncode == 0, done.stderr
    assert "petit: chat, 0.00 GB, apache-2.0" in done.stdout
    assert "no stack is running; put it into one's object store with" in done.stdout
    for name in ("pytorch_model.bin", "train.py", "onnx/model.onnx"):
        assert f"left out: {name}" in done.stderr
        assert name not in hub.got
    manifest = directory.written(cache / "petit")
    assert manifest.source == {"hub": endpoint, "model": "org/Petit", "revision": COMMIT}
    assert set(manifest.files) == set(hub.files) - {
        *("pytorch_model.bin", "train.py", "onnx/model.onnx")
    }
    assert {path.name for path in cache.glob(".*")} == set()
    listed = json.loads(sourcier(endpoint, cache, "list", "--json").stdout)
    assert [(row["name"], row["where"]) for row in listed] == [("petit", "cache")]
    verified = sourcier(endpoint, cache, "verify", "petit")
    assert (verified.returncode, verified.stdout) == (0, "petit in the cache: as it was let in\n")
    with (cache / "petit" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    verified = sourcier(endpoint, cache, "verify")
    assert verified.returncode == 1
    assert "petit in the cache: damaged: model.safetensors; import it again" in verified.stdout
    advised = "import org/Petit --name petit"
    assert advised in sourcier(endpoint, cache, "import", "petit").stderr
    assert sourcier(endpoint, cache, *advised.split()).returncode == 0
    assert sourcier(endpoint, cache, "verify", "petit").returncode == 0
    assert directory.written(cache / "petit").digest == manifest.digest
    assert "other/Petit cannot be had" in sourcier(endpoint, cache, "import", "other/Petit").stderr


def test_a_hubs_model_is_refused_before_its_weights_are_loaded(hub: Hub, cache: Path) -> None:
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    hub.files["config.json"] = b'{"auto_map": {"AutoModel": "modeling.Custom"}}'
    done = sourcier(endpoint, cache, "import", "org/Petit")
    assert done.returncode == 1
    assert "config.json asks for code of the model's own (auto_map)" in done.stderr
    hub.files["config.json"] = b"{}"
    hub.files["README.md"] = b"---\nlicense: llama3\n---\n"
    done = sourcier(endpoint, cache, "import", "org/Petit")
    assert "the licence 'llama3' is not one of those let in" in done.stderr
    assert "model.safetensors" not in hub.got
    del hub.files["model.safetensors"]
    done = sourcier(endpoint, cache, "import", "org/Petit", "--licence", "mit")
    assert "the repository has no .safetensors files" in done.stderr
    assert [path.name for path in cache.iterdir()] == ["petit.lock"]
    assert "Traceback" not in done.stderr


def test_a_download_goes_on_but_not_from_another_revisions_files(hub: Hub, cache: Path) -> None:
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    made = cache / ".petit.part" / "import"
    made.mkdir(parents=True)
    (made / "old.txt").write_text("of another source")
    weights = hub.files["model.safetensors"]
    hub.broken = True
    assert "cannot be had" in sourcier(endpoint, cache, "import", "org/Petit").stderr
    assert (made / "config.json").exists()
    assert not (made / "old.txt").exists()
    hub.broken, hub.got = False, []
    assert sourcier(endpoint, cache, "import", "org/Petit").returncode == 0
    assert hub.got == ["model.safetensors"]
    assert (cache / "petit" / "model.safetensors").read_bytes() == weights
    assert not (cache / "petit" / ".cache").exists()


def test_a_full_disk_is_not_the_hubs_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    listed = SimpleNamespace(sha=COMMIT, siblings=[SimpleNamespace(rfilename="a.safetensors")])
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_: listed)
    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    with pytest.raises(Misconfigured, match=r"no room for org/Petit in .*SOURCIER_CACHE") as told:
        download("org/Petit", tmp_path / "made", lambda: None)
    assert not isinstance(told.value, HubUnreachable)


def test_a_hub_that_is_out_of_reach_is_said_with_what_to_do(cache: Path) -> None:
    done = sourcier("http://127.0.0.1:9", cache, "import", "org/Petit")
    assert done.returncode == 1
    assert "org/Petit cannot be had from http://127.0.0.1:9" in done.stderr
    assert "bring the model as a directory or an archive" in done.stderr
    assert "Traceback" not in done.stderr


def test_names_that_are_not_known_are_said(cache: Path) -> None:
    done = sourcier("", cache, "fetch", "gpt-5")
    assert done.returncode == 2
    assert "gpt-5 cannot be fetched, only multilingual-e5-small" in done.stderr
    done = sourcier("", cache, "verify", "gpt-5")
    assert done.returncode == 1
    assert "no model gpt-5; see `sourcier models list`" in done.stderr
