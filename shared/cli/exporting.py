"""``sourcier export``: datasets from what agents decided."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from shared.cli.plain import as_json as written
from shared.cli.plain import line
from shared.cli.problem import Problem
from shared.cli.render import table
from shared.cli.web import feedback
from shared.cli.where import Data, Where, locate

KINDS = ("dpo", "sft", "retrieval")
POLL_SECONDS = 2.0
REASONS = {
    "same-body": "sent as the model wrote them, or differing in greeting and signature only",
    "extractive": "of drafts that quote documents, which no model wrote: --include-extractive",
    "declined": "the model declined to draft",
    "rejected-alone": "rejected, and no reply was sent that would show what was wanted",
    "empty-body": "nothing left without greeting and closing, or the sent text not known",
    "no-citation-edit": "citations left as they were",
    "no-counterpart": "no passage to set against the one called wrong or added",
}


Wanted = Annotated[
    Literal["dpo", "sft", "retrieval", "all"],
    typer.Argument(
        help="dpo: preference pairs. sft: approved replies. retrieval: triplets of question, "
        "right and wrong passage. all: the three."
    ),
]


def export(
    kind: Wanted,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files. Default: datasets/vN.")
    ] = None,
    include_extractive: Annotated[
        bool,
        typer.Option("--include-extractive", help="Pairs of drafts that no model wrote, too."),
    ] = False,
    version: Annotated[
        int | None,
        typer.Option(min=1, help="Download this version, whole; nothing new is made."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest.")] = False,
    data: Data = None,
) -> None:
    """Make datasets from reviews: Parquet and JSON lines, with a card, a manifest and hashes.

    Personal data is replaced (PERSONNE_1, TELEPHONE_1…). Each export is a new version, kept in the
    object store as datasets/vN; rows that did not change keep their ids and sides. The folder is
    read as it is by `datasets.load_dataset(FOLDER, "dpo")` and by TRL.

    Example: `sourcier export all --out datasets/novembre`
    """
    where, console = locate(data), Console(stderr=True)
    _can_be_written(out or Path("datasets"))  # told before the work, not after it
    if version is None:
        kinds: list[str] = list(KINDS) if kind == "all" else [kind]
        version = _made(where, kinds, include_extractive, console)
    manifest = feedback(where, "GET", f"/v1/datasets/{version}")
    folder = out or Path("datasets") / f"v{version}"
    _download(where, version, manifest, folder, console)
    if as_json:
        typer.echo(written(manifest))
    else:
        _show(manifest, folder)


def _show(manifest: dict[str, Any], folder: Path) -> None:
    rows = [
        [name, *(str(n) for n in sides.values()), str(sum(manifest["excluded"][name].values()))]
        for name, sides in manifest["rows"].items()
    ]
    columns = ["rows", "train#", "validation#", "test#", "left out#"]
    Console().print(table(f"{manifest['name']} in {folder}", columns, rows))


def _made(where: Where, kinds: list[str], extractive: bool, console: Console) -> int:
    """Have a version made, and its number once it is there."""
    wish = {"kinds": kinds, "include_extractive": extractive}
    begun = feedback(where, "POST", "/v1/datasets", body=wish)
    look = f"/v1/datasets/exports/{begun['export_id']}"
    words, bar = TextColumn("{task.description}"), BarColumn()
    with Progress(words, bar, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task("counting e-mails", total=None)
        while (now := feedback(where, "GET", look))["state"] == "running":
            told = (
                f"{now['done']} of {now['total']} e-mails" if now["total"] else "counting e-mails"
            )
            progress.update(
                task, description=told, total=now["total"] or None, completed=now["done"]
            )
            time.sleep(POLL_SECONDS)
    if now["state"] == "failed":
        raise Problem(_why(now["why"]))
    return int(now["version"])


def _why(why: str) -> str:
    """Why there is no version, and what to do."""
    if why == "interrupted":
        return "the export was interrupted; start it again"
    code, *figures = why.split()
    if code != "empty":
        return f"the export failed: {why}"
    found = dict(figure.split("=", 1) for figure in figures)
    mails = found.pop("mails", "0")
    if mails == "0":
        return (
            "there is nothing to export: no draft was reviewed yet. Review some on the desk "
            "(`sourcier status` tells its address) and export again"
        )
    reasons = [f"{n} {REASONS.get(reason, reason)}" for reason, n in found.items()]
    return f"no row comes of the {mails} e-mails reviewed: " + "; ".join(reasons)


def _download(
    where: Where, version: int, manifest: dict[str, Any], folder: Path, console: Console
) -> None:
    """The files of a version into ``folder``, each compared with its hash."""
    files = manifest["files"]
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("downloading", total=sum(f["bytes"] for f in files))
        for file in files:
            digest = hashlib.sha256()
            target = _inside(folder, file["path"])
            with target.open("wb") as data:
                for piece in _pieces(where, version, file["path"]):
                    digest.update(piece)
                    data.write(piece)
                    progress.advance(task, len(piece))
            if digest.hexdigest() != file["sha256"]:
                raise Problem(f"{target} is not what the manifest says; export again")
    _inside(folder, "manifest.json").write_text(written(manifest) + "\n", encoding="utf-8")
    console.print(line(f"{len(files)} files and the manifest in {folder}", "dim"))


def _can_be_written(folder: Path) -> None:
    """Raises ``Problem`` before anything is made, where nothing could be written."""
    whole = folder.absolute()
    there = next(each for each in (whole, *whole.parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise Problem(
            f"{folder} cannot be written ({there} is not a folder that you may write to); choose "
            "another --out. In a container mount a folder: docs/deploy.md, Datasets"
        )


def _inside(folder: Path, path: str) -> Path:
    """The file ``path`` of ``folder``, which it does not leave."""
    target = folder / path
    if not target.resolve().is_relative_to(folder.resolve()):
        raise Problem(f"the manifest names {path!r}, which is outside of the folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Problem(f"{folder} cannot be written: {error}; choose another --out") from error
    return target


def _pieces(where: Where, version: int, path: str) -> Any:
    url = f"{where.url('feedback')}/v1/datasets/{version}/files/{path}"
    token = where.token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
            if not answer.is_success:
                raise Problem(f"{url} answers {answer.status_code}; see `sourcier status`")
            yield from answer.iter_bytes()
    except httpx.HTTPError as error:
        again = f"`sourcier export all --version {version}` downloads it again from the start"
        raise Problem(f"{url} broke off ({error}); {again}") from error
