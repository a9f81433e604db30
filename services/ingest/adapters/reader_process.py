"""Reads files in processes of their own: one that hangs or crashes takes nothing else with it."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from services.ingest.adapters.tokenizer import FileTokenCounter
from services.ingest.formats.model import Limits, Unreadable
from services.ingest.mail_model import MailLimits, UnreadableMail
from services.ingest.mail_reading import MailReading, read_whole
from services.ingest.reading import Reading, Submission, read_document, read_text
from shared.delivery import Unavailable

MEMORY = 3 * 2**29
"""Bytes of address space of one reader process: 1.5 GiB."""
START_SECONDS = 60.0
"""For Python and the libraries of a process, before the clock of what it reads begins."""
GRACE = 5.0
"""Seconds after its limit in which a process that nobody ended, its service gone, ends itself."""
DOCUMENT_SECONDS = 300.0
TEXT_SECONDS = 20.0
_TOO_LONG = (
    "La lecture de l'e-mail a été arrêtée après {:g} secondes. Il est conservé tel quel : ouvrez-le"
    " dans la messagerie et répondez-y à la main."
)
_CRASHED = (
    "La lecture de l'e-mail a échoué brutalement (malformé ou trop gourmand en mémoire). Il est"
    " conservé tel quel : ouvrez-le dans la messagerie et répondez-y à la main."
)
PROGRAM = "from services.ingest.adapters.reader_process import main; main()"
"""Not `multiprocessing`, whose processes import all that the service does: 60 MB each."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a reader process needs: the embedder's folder, the chunk size, the limits."""

    tokenizer: Path
    max_tokens: int
    limits: Limits


@dataclass(frozen=True, slots=True)
class _Text:
    """An attachment to read."""

    data: bytes
    name: str
    media_type: str | None


@dataclass(frozen=True, slots=True)
class _Mail:
    """An e-mail to read."""

    raw: bytes
    limits: MailLimits


_Task = Submission | _Text | _Mail


@dataclass(frozen=True, slots=True)
class _Answer:
    """A process's answer: the result, a refusal (`value`, `code`), or what failed in us."""

    state: Literal["read", "refused", "failed"]
    value: object
    code: str = ""


class _Process:
    """One reader process, started when first used."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection

    def ask(self, task: _Task, seconds: float) -> _Answer:
        """The answer, within `seconds` of a process that runs.

        Raises TimeoutError; EOFError when the process died; Unavailable when none starts.
        """
        if self._process is None:
            self._start()
        try:
            self._pipe.send((task, seconds))
            answer: _Answer = self._receive(seconds)
        except (OSError, EOFError) as error:
            self.stop()
            if isinstance(error, TimeoutError):
                raise
            raise EOFError from error
        return answer

    def stop(self) -> None:
        """Kill the process; it holds nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._pipe.close()
            self._process = None

    def interrupt(self) -> None:
        """Kill the process under a running `ask`, which then ends with EOFError."""
        if (process := self._process) is not None:
            process.kill()

    def _start(self) -> None:
        try:
            ours, theirs = socket.socketpair()
            self._pipe = Connection(ours.detach())
            with theirs:
                command = [sys.executable, "-c", PROGRAM, str(theirs.fileno())]
                self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])  # noqa: S603 - our own program
            self._pipe.send(self._setup)
            self._receive(START_SECONDS)
        except (OSError, EOFError) as error:
            self.stop()
            raise Unavailable(
                f"no reader process starts ({str(error) or 'it ended'}): look at the memory that is"
                " left, at the load, and at what it wrote in this log"
            ) from error

    def _receive(self, seconds: float) -> Any:
        if not self._pipe.poll(seconds):
            raise TimeoutError(f"no answer in {seconds:g} s")
        return self._pipe.recv()


class ProcessReader:
    """The DocumentReader and MailReader of the use cases.

    One process reads documents, one attachments, and two e-mails: while one of these hangs the
    other goes on. Only the first holds the embedder's tokenizer, some 300 MB for a vocabulary of
    250,000 pieces.
    """

    def __init__(self, setup: Setup) -> None:
        self._documents, self._texts = _Process(setup), _Process(setup)
        self._busy = {self._documents: asyncio.Lock(), self._texts: asyncio.Lock()}
        self._mails = (_Process(setup), _Process(setup))
        self._free: asyncio.LifoQueue[_Process] = asyncio.LifoQueue()
        for process in self._mails:
            self._free.put_nowait(process)

    async def document(self, submission: Submission) -> Reading:
        """See `DocumentReader`."""
        value = await self._ask(self._documents, submission, DOCUMENT_SECONDS)
        if not isinstance(value, Reading):
            raise TypeError(f"a reader process answered {type(value).__name__}")
        return value

    async def text(self, data: bytes, name: str, media_type: str | None) -> str:
        """See `DocumentReader`."""
        task = _Text(data, name, media_type)
        return str(await self._ask(self._texts, task, TEXT_SECONDS))

    async def mail(self, raw: bytes, limits: MailLimits) -> MailReading:
        """See `MailReader`."""
        process = await self._free.get()
        try:
            answer = await self._call(process, _Mail(raw, limits), limits.seconds)
        except TimeoutError as error:
            raise UnreadableMail("timeout", _TOO_LONG.format(limits.seconds)) from error
        except EOFError as error:
            raise UnreadableMail("crash", _CRASHED) from error
        finally:
            self._free.put_nowait(process)
        if answer.state == "refused":
            raise UnreadableMail(answer.code, str(answer.value))  # type: ignore[arg-type]  # a Code of the process
        value = _result(answer)
        if not isinstance(value, MailReading):
            raise TypeError(f"a reader process answered {type(value).__name__}")
        return value

    def close(self) -> None:
        """Stop all processes."""
        for process in (self._documents, self._texts, *self._mails):
            process.stop()

    async def _ask(self, process: _Process, task: _Task, seconds: float) -> object:
        try:
            async with self._busy[process]:
                answer = await self._call(process, task, seconds)
        except TimeoutError as error:
            raise Unreadable(
                f"La lecture a été arrêtée après {seconds:.0f} secondes : fichier refusé.",
                "timeout",
            ) from error
        except EOFError as error:
            raise Unreadable(
                "La lecture du fichier a échoué brutalement (fichier malformé ou trop gourmand en "
                "mémoire) : enregistrez-le de nouveau ou découpez-le.",
                "crash",
            ) from error
        return _result(answer)

    @classmethod
    async def _call(cls, process: _Process, task: _Task, seconds: float) -> _Answer:
        """Raises TimeoutError, Unavailable, and EOFError when the file took two processes down."""
        try:
            return await cls._once(process, task, seconds)
        except EOFError:
            # Perhaps not by this file, but idle: the system kills when memory is short.
            return await cls._once(process, task, seconds)

    @staticmethod
    async def _once(process: _Process, task: _Task, seconds: float) -> _Answer:
        """In a thread; when cancelled the process is killed, and the thread ends at once."""
        running = asyncio.create_task(asyncio.to_thread(process.ask, task, seconds))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            while not running.done():  # again, when the process was only about to start
                process.interrupt()
                await asyncio.wait([running], timeout=0.1)
            raise


def _result(answer: _Answer) -> object:
    if answer.state == "refused":
        raise Unreadable(str(answer.value), answer.code)  # type: ignore[arg-type]  # a Code of the process
    if answer.state == "failed":
        raise RuntimeError(f"reading failed: {answer.value}")
    return answer.value


def main() -> None:
    """The process: reads what comes until its parent goes away."""
    # What ends a terminal's group or a unit is for the service, which then stops us.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(EOFError, ConnectionError):
        _serve(Connection(int(sys.argv[1])))


def _serve(pipe: Connection) -> None:
    setup: Setup = pipe.recv()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    counter = cache(lambda: FileTokenCounter(setup.tokenizer))
    pipe.send(None)  # ready
    while True:
        task, seconds = pipe.recv()
        signal.setitimer(signal.ITIMER_REAL, seconds + GRACE)  # SIGALRM ends us, hung as we are
        answer = _answered(task, setup, counter)
        signal.setitimer(signal.ITIMER_REAL, 0)
        pipe.send(answer)


def _answered(task: _Task, setup: Setup, counter: Callable[[], FileTokenCounter]) -> _Answer:
    try:
        if isinstance(task, Submission):
            return _Answer("read", read_document(task, counter(), setup.max_tokens, setup.limits))
        if isinstance(task, _Mail):
            return _Answer("read", read_whole(task.raw, task.limits))
        return _Answer("read", read_text(task.data, task.name, task.media_type, setup.limits))
    except (Unreadable, UnreadableMail) as refusal:
        return _Answer("refused", refusal.reason_fr, refusal.code)
    except (MemoryError, RecursionError):
        if isinstance(task, _Mail):
            return _Answer("refused", _CRASHED, "crash")
        return _Answer("refused", "Le fichier est trop complexe pour être lu.", "bomb")
    except Exception as error:  # noqa: BLE001 - our bug, which the parent then raises
        return _Answer("failed", f"{type(error).__name__}: {error}")
