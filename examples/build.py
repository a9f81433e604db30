"""Builds the binary example documents and the e-mails from the plain texts in `examples/sources`.

Run `python -m examples.build [--out FOLDER]` from the repository root (needs the `dev` and `ingest`
extras). A rebuild gives the same bytes: every date that a format carries is fixed. The documents
written by hand (.md, .txt, .html, .csv) stand in `examples/documents` and have no source here.
"""

import argparse
import csv
import sys
from collections.abc import Callable
from pathlib import Path

from examples.sources import office, pdf
from examples.sources.blocks import Block, read_blocks
from examples.sources.mime import encode_message

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sources"
WRITERS: dict[str, Callable[[list[Block]], bytes]] = {
    ".pdf": pdf.write_pdf,
    ".docx": office.write_docx,
    ".odt": office.write_odt,
}


def build_document(source: Path) -> bytes:
    """The file of `source`: `name.pdf.md` gives `name.pdf`, `name.xlsx.csv` a workbook."""
    if source.suffix == ".eml":
        return encode_message(source.read_text(encoding="utf-8"), {})
    if source.suffix == ".csv":
        with source.open(encoding="utf-8", newline="") as lines:
            return office.write_xlsx(list(csv.reader(lines, delimiter=";")))
    return WRITERS[Path(source.stem).suffix](read_blocks(source.read_text(encoding="utf-8")))


def build(out: Path) -> list[Path]:
    """Write `documents/` and `mails/` under `out`; returns the files written."""
    files: dict[Path, bytes] = {}
    for source in sorted((SOURCES / "documents").iterdir()):
        name = source.name if source.suffix == ".eml" else source.stem
        files[out / "documents" / name] = build_document(source)
    attachments = {s.stem: build_document(s) for s in sorted((SOURCES / "attachments").iterdir())}
    for source in sorted((SOURCES / "mails").glob("*.eml")):
        files[out / "mails" / source.name] = encode_message(
            source.read_text(encoding="utf-8"), attachments
        )
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return list(files)


def main() -> None:
    parser = argparse.ArgumentParser(description="Rebuild the example documents and e-mails.")
    parser.add_argument(
        "--out", type=Path, default=HERE, help="folder that receives documents/ and mails/"
    )
    for path in build(parser.parse_args().out):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
