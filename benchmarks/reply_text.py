"""How often the new text of a reply is exactly the expected one, white space folded.

    python -m benchmarks.reply_text [--explain]

On ../shared/data/mail/email_reply_trimmer and crisp-email-reply-parser; beside ours, when it is
installed, `mail-parser-reply`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.report import report
from shared.newtext.visible import new_text

DATA = Path(__file__).parents[2] / "shared" / "data" / "mail"
AIMS = {"email_reply_trimmer": "≥ 58", "crisp-email-reply-parser": "≥ 36"}


def fold(text: str) -> str:
    return " ".join(text.split())


def cases() -> Iterator[tuple[str, str, str, str]]:
    """Set, file, the whole text, the expected one."""
    trimmer = DATA / "email_reply_trimmer" / "test"
    for path in sorted((trimmer / "emails").glob("*.txt")):
        expected = (trimmer / "trimmed" / path.name).read_text()
        yield "email_reply_trimmer", path.name, path.read_text(), expected
    crisp = DATA / "crisp-email-reply-parser"
    for name, expected in json.loads((crisp / "expected_first_fragment.json").read_text()).items():
        text = (crisp / "test" / "fixtures" / f"{name}.txt").read_text()
        yield "crisp-email-reply-parser", name, text, expected


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--explain", action="store_true", help="print each that differs")
    explain = arguments.parse_args().explain
    if not DATA.is_dir():
        sys.exit(f"no e-mails under {DATA}: nothing to measure")
    readers: dict[str, Callable[[str], str]] = {"": new_text}
    with suppress(ImportError):
        library = importlib.import_module("mailparser_reply")
        parser = library.EmailReplyParser(languages=["en", "fr", "de", "es", "it"])
        readers[", mail-parser-reply"] = parser.parse_reply
    exact: dict[str, int] = {}
    total: dict[str, int] = {}
    for name, file, text, expected in cases():
        for reader, read in readers.items():
            total[name + reader] = total.get(name + reader, 0) + 1
            same = fold(read(text) or "") == fold(expected)
            exact[name + reader] = exact.get(name + reader, 0) + same
            if explain and not same and not reader:
                print(f"{name}/{file}\n--- expected\n{expected}\n--- found\n{read(text)}\n")
    figures = {name: f"{exact[name]} of {count}" for name, count in total.items()}
    report("reply text", figures, AIMS)


if __name__ == "__main__":
    main()
