"""Reader processes: results, refusals, time limits, and life after a crash."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from services.ingest.adapters import reader_process
from services.ingest.adapters.reader_process import ProcessReader, Setup
from services.ingest.adapters.tokenizer import FileTokenCounter
from services.ingest.formats.model import Limits, Unreadable
from services.ingest.mail_reading import read_whole
from services.ingest.mime import MailLimits, UnreadableMail
from services.ingest.reading import Submission
from shared.delivery import Unavailable
from shared.identity import sha256


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tokenizer")
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


def test_long_texts_have_the_same_tokens_in_parts(folder: Path) -> None:
    counter = FileTokenCounter(folder)
    text = "\n".join(f"ligne {n} du tableau, école n° {n}" for n in range(4000)) + " fin" * 20_000
    whole = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text)
    assert list(counter.ends(text)) == [end for _, end in whole.offsets]
    assert list(counter.ends("")) == []


@pytest.fixture
def reader(folder: Path) -> Iterator[ProcessReader]:
    reader = ProcessReader(Setup(folder, 64, Limits()))
    yield reader
    reader.close()
    assert [
        child for child in psutil.Process().children() if "reader_process" in str(child.cmdline())
    ] == []


def submission(body: bytes) -> Submission:
    return Submission(body, "guide.md", None, None, uuid4(), sha256(body))


def process_id() -> int:
    found = [c.pid for c in psutil.Process().children() if "reader_process" in str(c.cmdline())]
    return found[0]


async def test_reads_and_refuses(reader: ProcessReader) -> None:
    reading = await reader.document(submission(b"# Guide\n\nUn texte."))
    assert (reading.title, reading.count) == ("Guide", 1)
    with pytest.raises(Unreadable, match="endommagé") as refusal:
        await reader.text(b"%PDF-1.7", "a.pdf", None)
    assert refusal.value.code == "broken"
    assert await reader.text(b"Bonjour", "a.txt", "text/plain") == "Bonjour"


def altered(*changes: str) -> str:
    """The reader process's program after `changes`: statements in which `m` is its module."""
    return "\n".join(
        ("import os, time", "from services.ingest.adapters import reader_process as m", *changes)
    )


HOSTILE = (
    "def hostile(read):",
    "    def new(data, *more):",
    "        if b'crash' in data: os._exit(9)",
    "        while b'endless' in data: pass",
    "        return read(data, *more)",
    "    return new",
    "m.read_text, m.read_whole = hostile(m.read_text), hostile(m.read_whole)",
)
"""Makes files that say so crash their reader or take for ever."""


async def test_a_file_that_crashes_its_reader_is_refused_alone(
    reader: ProcessReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_process, "PROGRAM", altered(*HOSTILE, "m.main()"))
    with pytest.raises(Unreadable) as refusal:
        await reader.text(b"crash", "a.txt", None)
    assert refusal.value.code == "crash"
    assert await reader.text(b"Encore", "a.txt", None) == "Encore"
    with pytest.raises(UnreadableMail) as refused:
        await reader.mail(PLAIN + b"crash", MailLimits())
    assert refused.value.code == "crash"
    assert (await reader.mail(PLAIN, MailLimits())).questions


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
async def test_a_signal_to_its_reader_refuses_no_file(
    reader: ProcessReader, sign: signal.Signals
) -> None:
    assert (await reader.mail(PLAIN, MailLimits())).questions
    os.kill(process_id(), sign)
    assert (await reader.mail(PLAIN, MailLimits())).questions, "after a signal while idle"
    process = process_id()
    os.kill(process, signal.SIGSTOP)
    reading = asyncio.create_task(reader.mail(PLAIN, MailLimits()))
    await asyncio.sleep(0.1)
    os.kill(process, sign)
    if sign != signal.SIGKILL:
        os.kill(process, signal.SIGCONT)
    assert (await reading).questions, "after a signal while reading"
    assert (process_id() == process) == (sign != signal.SIGKILL)


async def test_a_process_that_does_not_start_refuses_nothing(
    reader: ProcessReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as slow:
        slow.setattr(reader_process, "START_SECONDS", 0.05)
        with pytest.raises(Unavailable, match="no answer in 0"):
            await reader.mail(PLAIN, MailLimits())
    with monkeypatch.context() as broken:
        broken.setattr(reader_process, "PROGRAM", "raise SystemExit(1)")
        with pytest.raises(Unavailable, match="no reader process starts"):
            await reader.text(b"Bonjour", "a.txt", None)
    with monkeypatch.context() as lacking:
        lacking.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(Unavailable, match="/nowhere/python"):
            await reader.text(b"Bonjour", "a.txt", None)
    assert (await reader.mail(PLAIN, MailLimits())).questions
    assert await reader.text(b"Encore", "a.txt", None) == "Encore"


async def test_starting_takes_no_e_mail_s_time(
    reader: ProcessReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_process, "PROGRAM", altered("time.sleep(1)", *HOSTILE, "m.main()"))
    few = MailLimits(seconds=1)
    assert (await reader.mail(PLAIN, few)).questions
    with pytest.raises(UnreadableMail) as refusal:
        await reader.mail(ENDLESS, few)
    assert refusal.value.code == "timeout"
    assert (await reader.mail(PLAIN, few)).questions


async def test_a_reader_ends_with_its_service(folder: Path) -> None:
    program = (
        "import asyncio, os, sys, pathlib, psutil\n"
        "from services.ingest.adapters.reader_process import ProcessReader, Setup\n"
        "from services.ingest.formats.model import Limits\n"
        "reader = ProcessReader(Setup(pathlib.Path(sys.argv[1]), 64, Limits()))\n"
        "asyncio.run(reader.text(b'Bonjour', 'a.txt', None))\n"
        "print(psutil.Process().children()[0].pid, flush=True)\n"
        "os._exit(9)\n"
    )
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(folder), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await service.communicate()
    for _ in range(100):
        if not psutil.pid_exists(int(told)):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the reader process outlived its service")


def test_a_hung_reader_ends_without_its_service(folder: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        program = altered(*HOSTILE, "m.GRACE = 0.2; m.main()")
        command = [sys.executable, "-c", program, str(theirs.fileno())]
        hung = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    with Connection(ours.detach()) as pipe:
        pipe.send(Setup(folder, 64, Limits()))
        assert pipe.recv() is None
        pipe.send((reader_process._Mail(ENDLESS, MailLimits()), 0.1))
    try:
        assert hung.wait(10) == -signal.SIGALRM
    finally:
        hung.kill()


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


@pytest.mark.parametrize("started", [True, False], ids=["reading", "starting"])
async def test_cancelled_reading_ends_at_once(reader: ProcessReader, started: bool) -> None:
    if started:
        await reader.text(b"Bonjour", "a.txt", None)
        os.kill(process_id(), signal.SIGSTOP)
    reading = asyncio.create_task(reader.text(b"Bonjour", "a.txt", None))
    await asyncio.sleep(0.2 if started else 0)
    began = time.monotonic()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert time.monotonic() - began < 5
    assert await reader.text(b"Encore", "a.txt", None) == "Encore"


async def test_memory_is_bounded(reader: ProcessReader) -> None:
    await reader.text(b"Bonjour", "a.txt", None)
    assert resource.prlimit(process_id(), resource.RLIMIT_AS)[0] == 3 * 2**29


HEAD = "From: a@b.example\r\nMessage-ID: <1@b.example>\r\n\r\n"
PLAIN = (HEAD + "Bonjour,\r\n\r\nQuel est le taux de la subvention ?\r\n").encode()
ENDLESS = PLAIN + b"endless"


async def test_an_e_mail_is_read_apart_as_it_is_here(reader: ProcessReader) -> None:
    limits = MailLimits()
    assert await reader.mail(PLAIN, limits) == read_whole(PLAIN, limits)
    for raw in (b"", b"x" * 100, PLAIN * 100):
        few = MailLimits(max_bytes=1000)
        with pytest.raises(UnreadableMail) as apart:
            await reader.mail(raw, few)
        with pytest.raises(UnreadableMail) as here:
            read_whole(raw, few)
        assert (apart.value.code, apart.value.reason_fr) == (here.value.code, here.value.reason_fr)


async def test_an_e_mail_that_takes_long_is_refused_and_holds_up_nobody(
    reader: ProcessReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_process, "PROGRAM", altered(*HOSTILE, "m.main()"))
    await asyncio.gather(*(reader.mail(PLAIN, MailLimits()) for _ in range(2)))
    began = time.monotonic()
    endless = asyncio.create_task(reader.mail(ENDLESS, MailLimits(seconds=2)))
    await asyncio.sleep(0.1)
    for _ in range(10):
        assert (await reader.mail(PLAIN, MailLimits())).questions
    assert not endless.done(), f"others waited {time.monotonic() - began:.1f} s"
    with pytest.raises(UnreadableMail, match="après 2 secondes") as refusal:
        await endless
    assert refusal.value.code == "timeout"
    both = (reader.mail(PLAIN, MailLimits()) for _ in range(2))
    assert len(await asyncio.gather(*both)) == 2, "the process that was killed starts anew"
