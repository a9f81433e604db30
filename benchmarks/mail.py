"""Speed and memory of reading e-mail.

    python -m benchmarks.mail [--rounds 5]

E-mails per second on the messages of ../shared/data/mail, ours (fields, text, files, new text)
against plain `email` (the same message parsed, its text and attachments decoded) and, when
`mail-parser-reply` is installed, against that library for the new text alone. Then the peak of
memory, the raw message counted, on messages of 25 MB.
"""

from __future__ import annotations

import argparse
import email
import email.policy
import importlib
import os
import sys
import time
import tracemalloc
from base64 import encodebytes
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.report import report
from services.ingest.mime import MailLimits, UnreadableMail, read_mail
from shared.newtext.visible import new_text

DATA = Path(__file__).parents[2] / "shared" / "data" / "mail"
SETS = (("stalwart-mail-parser", "*.eml"), ("mime4j", "*.msg"), ("cpython-test-email", "*.txt"))
REPLIES = ("email_reply_trimmer/test/emails", "crisp-email-reply-parser/test/fixtures")
LIMITS = MailLimits(max_bytes=30 * 2**20)
SIZE = 25_000_000


def ours(raw: bytes) -> None:
    with suppress(UnreadableMail):
        new_text(read_mail(raw, LIMITS).text)


def plain(raw: bytes) -> None:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    for part in message.walk():
        if not part.is_multipart():
            data = part.get_payload(decode=True)
            if part.get_content_maintype() == "text" and isinstance(data, bytes):
                data.decode("utf-8", "replace")


def per_second(work: Callable[[Any], object], items: Iterable[Any], rounds: int) -> float:
    items = list(items)
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for item in items:
            # Plain `email` raises on some of these messages.
            with suppress(Exception):
                work(item)
        best = min(best, time.perf_counter() - start)
    return len(items) / best


def large(kind: str) -> bytes:
    head = b"From: a@b.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: "
    if kind == "text":
        line = "Quelle est la durée du prêt pour une école ?\r\n".encode()
        return head + b"text/plain; charset=utf-8\r\n\r\n" + line * (SIZE // len(line))
    files = 1 if kind == "attachment" else 5
    body = encodebytes(os.urandom(SIZE // files * 56 // 77)).replace(b"\n", b"\r\n")
    part = (
        b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=a.pdf\r\n\r\n" + body + b"\r\n"
    )
    text = b"--b\r\nContent-Type: text/plain\r\n\r\nQuel taux ?\r\n"
    return head + b"multipart/mixed; boundary=b\r\n\r\n" + text + part * files + b"--b--\r\n"


def peak(work: Callable[[bytes], object], kind: str) -> float:
    """Times the size of the message, itself counted."""
    raw = large(kind)
    tracemalloc.start()
    kept = work(raw)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return 1 + most / len(raw)


def parsed(raw: bytes) -> object:
    return read_mail(raw, LIMITS)


def parsed_plain(raw: bytes) -> object:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    return [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=5)
    rounds = arguments.parse_args().rounds
    raws = [
        path.read_bytes() for folder, form in SETS for path in sorted((DATA / folder).rglob(form))
    ]
    texts = [
        path.read_text() for folder in REPLIES for path in sorted((DATA / folder).glob("*.txt"))
    ]
    if not raws:
        sys.exit(f"no messages under {DATA}: nothing to measure")
    figures: dict[str, object] = {
        "messages": len(raws),
        "ours, mails/s": per_second(ours, raws, rounds),
        "plain email, mails/s": per_second(plain, raws, rounds),
        "reply texts": len(texts),
        "ours, new texts/s": per_second(new_text, texts, rounds),
    }
    with suppress(ImportError):
        library = importlib.import_module("mailparser_reply")
        parser = library.EmailReplyParser(languages=["en", "fr", "de", "es", "it"])
        figures["mail-parser-reply, new texts/s"] = per_second(parser.parse_reply, texts, rounds)
    for kind in ("attachment", "five attachments", "text"):
        figures[f"peak on 25 MB, {kind}"] = peak(parsed, kind)
    figures["peak on 25 MB, attachment, plain email"] = peak(parsed_plain, "attachment")
    report("mail", figures, {key: "≤ 6 × its size" for key in figures if key.startswith("peak")})


if __name__ == "__main__":
    main()
