"""Reader processes: results, refusals, time limits, and life after a crash."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from services.ingest.adapters import reader_process
from services.ingest.adapters.reader_process import ProcessReader, Setup
from services.ingest.formats.model import Limits, Unreadable
from services.ingest.reading import Submission
from shared.identity import sha256


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tokenizer")
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


@pytest.fixture
def reader(folder: Path) -> Iterator[ProcessReader]:
    reader = ProcessReader(Setup(folder, 64, Limits()))
    yield reader
    reader.close()
    assert [child for child in psutil.Process().children() if "spawn" in str(child.cmdline())] == []


def submission(body: bytes) -> Submission:
    return Submission(body, "guide.md", None, None, uuid4(), sha256(body))


def process_id() -> int:
    found = [c.pid for c in psutil.Process().children() if "spawn_main" in str(c.cmdline())]
    return found[0]


async def test_reads_and_refuses(reader: ProcessReader) -> None:
    reading = await reader.document(submission(b"# Guide\n\nUn texte."))
    assert (reading.title, reading.count) == ("Guide", 1)
    with pytest.raises(Unreadable, match="endommagé") as refusal:
        await reader.text(b"%PDF-1.7", "a.pdf", None)
    assert refusal.value.code == "broken"
    assert await reader.text(b"Bonjour", "a.txt", "text/plain") == "Bonjour"


async def test_a_crash_refuses_one_file_only(reader: ProcessReader) -> None:
    await reader.text(b"Bonjour", "a.txt", None)
    os.kill(process_id(), signal.SIGSTOP)
    hanging = asyncio.create_task(reader.text(b"Bonjour", "a.txt", None))
    await asyncio.sleep(0.1)
    os.kill(process_id(), signal.SIGKILL)
    with pytest.raises(Unreadable) as refusal:
        await hanging
    assert refusal.value.code == "crash"
    assert await reader.text(b"Encore", "a.txt", None) == "Encore"


async def test_time_limit(reader: ProcessReader, monkeypatch: pytest.MonkeyPatch) -> None:
    await reader.text(b"Bonjour", "a.txt", None)
    monkeypatch.setattr(reader_process, "TEXT_SECONDS", 0.2)
    os.kill(process_id(), signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(Unreadable) as refusal:
        await reader.text(b"Bonjour", "a.txt", None)
    assert refusal.value.code == "timeout"
    assert time.monotonic() - started < 5
    monkeypatch.undo()
    assert await reader.text(b"Encore", "a.txt", None) == "Encore"
