"""``sourcier add``, ``remove`` and ``search``."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import quote
from uuid import UUID, uuid4

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from shared.cli.adding import FAILED, PATIENCE, Desk, Paper, Result
from shared.cli.client import BusClient, connected
from shared.cli.plain import as_json as written
from shared.cli.plain import line, lines
from shared.cli.problem import Problem
from shared.cli.render import table
from shared.cli.web import fetch
from shared.cli.where import Data, Where, locate
from shared.clock import utcnow
from shared.document_events import DocumentRemoved, DocumentRemovedData
from shared.envelope import Slug
from shared.identity import document_id
from shared.queries import Method, SearchAnswer, SearchQuery

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Collection = Annotated[str, typer.Option(help="The collection it belongs to.")]


def add(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders (read recursively).")],
    collection: Collection = "default",
    audience: Annotated[str, typer.Option(help="Who may be given its passages.")] = "public",
    url_base: Annotated[
        str | None, typer.Option(help="Where the files are published: URL = base/name.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until they are searchable.")] = True,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds without any progress before giving up.")
    ] = PATIENCE,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Add documents, or new versions of them.

    A file's name (its path within the folder given) identifies it in its collection: the same
    name again is a new version, the same content again changes nothing. Prints what was refused
    and why, and what had no outcome when nothing moved for --timeout seconds; exits 1 when
    there was any.

    Example: `sourcier add guides/ bareme.pdf --collection default`
    """
    for slug in (collection, audience):
        _slug(slug)
    papers = list(_papers(paths, url_base))
    if not papers:
        raise Problem(f"no file in {', '.join(map(str, paths))}", 2)
    _distinct(papers)
    where = locate(data)
    handover = Handover(collection, audience, timeout, as_json)
    work = handover.follow if wait else handover.hand_in
    results = asyncio.run(work(where, papers))
    if not as_json:
        _refused(results)
        typer.echo(_counts(results) if wait else _handed_in(papers, results))
    if any(result.state in FAILED for result in results):
        raise typer.Exit(1)


@dataclass(frozen=True)
class Handover:
    """Where papers are handed in, and how their results are told."""

    collection: str
    audience: str
    timeout: float
    as_json: bool

    async def follow(self, where: Where, papers: Sequence[Paper]) -> list[Result]:
        """Each paper's result, told as it comes."""
        results: list[Result] = []
        async with connected(where.settings) as client:
            with progress(quiet=self.as_json) as bar:
                task = bar.add_task("documents", total=len(papers))
                async for result in self._desk(where, client).follow(papers):
                    results.append(self._tell(result))
                    bar.advance(task)
        return results

    async def hand_in(self, where: Where, papers: Sequence[Paper]) -> list[Result]:
        """The results of those that could not be handed in."""
        async with connected(where.settings) as client:
            desk = self._desk(where, client)
            failed = [await desk.submit(paper) for paper in papers]
        return [self._tell(each) for each in failed if each]

    def _desk(self, where: Where, client: BusClient) -> Desk:
        return Desk(client, where.store(), self.collection, self.audience, self.timeout)

    def _tell(self, result: Result) -> Result:
        if self.as_json:
            typer.echo(written(asdict(result)))
        return result


def progress(quiet: bool = False) -> Progress:
    """A progress bar with counts and the time left, on standard error."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, quiet=quiet),
    )


def _refused(results: Sequence[Result]) -> None:
    refused = [result for result in results if result.state in FAILED]
    if refused:
        rows = [[r.name, r.state, r.code, r.detail] for r in refused]
        Console().print(table("Not searchable", ["file", "state", "code", "reason"], rows))


def _counts(results: Sequence[Result]) -> str:
    counts = Counter(result.state for result in results)
    chunks = sum(result.chunks for result in results)
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    return f"{len(results)} files: {told}; {chunks} passages"


def _handed_in(papers: Sequence[Paper], failed: Sequence[Result]) -> str:
    return f"{len(papers) - len(failed)} files handed in; see `sourcier status`"


def _papers(paths: Sequence[Path], url_base: str | None) -> Iterator[Paper]:
    for path in paths:
        if not path.exists():
            raise Problem(f"{path} does not exist", 2)
        root = path if path.is_dir() else path.parent
        for file in _files(path):
            name = file.relative_to(root).as_posix()
            url = (
                f"{url_base.rstrip('/')}/{quote(name, errors='surrogateescape')}"
                if url_base
                else None
            )
            yield Paper(file, name, url)


def _files(path: Path) -> list[Path]:
    """Files below ``path`` in order, without hidden ones."""
    if path.is_file():
        return [path]
    found = (each for each in path.rglob("*") if each.is_file())
    return sorted(f for f in found if not any(p.startswith(".") for p in f.relative_to(path).parts))


def _distinct(papers: Sequence[Paper]) -> None:
    by_name: dict[str, Path] = {}
    for paper in papers:
        other = by_name.setdefault(paper.name, paper.path)
        if other.resolve() != paper.path.resolve():
            raise Problem(
                f"{other} and {paper.path} would be the same document {paper.name!r}; "
                "add them by their common folder, or in two collections",
                2,
            )


def _slug(text: str) -> None:
    try:
        TypeAdapter(Slug).validate_python(text)
    except ValidationError as error:
        raise Problem(f"{text!r} is no collection or audience: use a-z, 0-9 and -", 2) from error


def remove(
    document: Annotated[str, typer.Argument(help="Name, URL or id of the document.")],
    collection: Collection = "default",
    data: Data = None,
) -> None:
    """Remove a document everywhere: it is no longer found, and drafts that cite it are withdrawn.

    Example: `sourcier remove bareme.pdf --collection default`
    """
    _slug(collection)
    where = locate(data)
    identity = _identity(document, collection)
    _live(where, document, collection, identity)
    asyncio.run(_remove(where, identity, collection))
    typer.echo(f"removed {document} ({identity})")


def _live(where: Where, document: str, collection: str, identity: UUID) -> None:
    """Raises ``Problem`` when the index does not hold it: most likely a name mistyped."""
    states = fetch("GET", f"{where.url('retrieve')}/v1/index/document/{identity}")["embeddings"]
    if not any(state["state"] == "live" for state in states.values()):
        raise Problem(
            f"the index holds no {document!r} in collection {collection!r}; "
            "give its name as it was added, its URL if it has one, or its id"
        )


async def _remove(where: Where, identity: UUID, collection: str) -> None:
    removed = DocumentRemovedData(collection=collection, document_id=identity, removed=utcnow())
    event = DocumentRemoved.make(
        source="cli", subject=str(identity), time=removed.removed, data=removed, id=uuid4()
    )
    async with connected(where.settings) as client:
        await client.say(event)


def _identity(document: str, collection: str) -> UUID:
    with suppress(ValueError):
        return UUID(document)
    try:
        return document_id(collection, document)
    except UnicodeEncodeError as error:
        raise Problem(f"{document!r} is not UTF-8: no document has such a name", 2) from error


def search(
    question: Annotated[str, typer.Argument(help="What to look for.")],
    limit: Annotated[int, typer.Option(min=1, max=100, help="Passages at most.")] = 8,
    method: Annotated[
        str | None, typer.Option(help="dense, bm25, hybrid or hybrid+rerank.")
    ] = None,
    collection: Annotated[list[str] | None, typer.Option(help="Only these collections.")] = None,
    audience: Annotated[list[str] | None, typer.Option(help="As whom to look.")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Find the passages that answer a question, as retrieval does it for an e-mail.

    Example: `sourcier search "qui finance l'étude préalable ?" --limit 3`
    """
    query = _query(question, limit, method, collection, audience)
    answer = asyncio.run(_search(locate(data), query))
    if as_json:
        typer.echo(written(answer.model_dump(mode="json")))
        return
    _show(Console(), answer)


def _show(console: Console, answer: SearchAnswer) -> None:
    for rank, passage in enumerate(answer.passages, 1):
        place = f", p. {passage.page}" if passage.page else ""
        heading = line(" > ".join(passage.heading_path), "dim")
        title = line(f"{passage.title}{place} ")
        console.print(Text.assemble((f"{rank}. ", "bold"), title, heading))
        console.print(lines(f"   {passage.text[:300]}"))
    console.print(f"[dim]{len(answer.passages)} passages, evidence {answer.evidence:.2f}[/]")


def _query(
    question: str,
    limit: int,
    method: str | None,
    collection: list[str] | None,
    audience: list[str] | None,
) -> SearchQuery:
    try:
        return SearchQuery(
            question=question,
            limit=limit,
            method=TypeAdapter(Method | None).validate_python(method),
            collections=tuple(collection or ()),
            audiences=tuple(audience or ("public",)),
        )
    except ValidationError as error:
        raise Problem(error.errors()[0]["msg"], 2) from error


async def _search(where: Where, query: SearchQuery) -> SearchAnswer:
    async with connected(where.settings) as client:
        return await client.ask(query, SearchAnswer)
