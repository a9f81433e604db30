"""The examples for those who integrate, run as they stand against the real stack."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared.identity import mail_id

from .conftest import EXAMPLES, REPOSITORY, Stack, letter

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(400)]
HERE = EXAMPLES / "integrate"
QUESTION = "Bonjour,\r\n\r\nUne crèche municipale peut-elle être aidée ?\r\n\r\nCordialement"
SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()
SCHEMA = json.loads((REPOSITORY / "docs/contract/schemas/draft.ready.v1.json").read_text())


def variables(stack: Stack, user: str, **more: str) -> dict[str, str]:
    url = stack.state()["environment"]["SOURCIER_NATS__URL"]
    seed = stack.data / "secrets" / f"{user}.nk"
    return os.environ | {"NATS_URL": url, "NATS_NKEY": str(seed)} | more


class Program:
    """A consumer as a process; ``lines`` are the JSON lines that it printed."""

    def __init__(self, command: list[str | Path], env: dict[str, str], folder: Path) -> None:
        self.lines: list[dict[str, Any]] = []
        self._errors = folder / f"{len(list(folder.iterdir()))}.err"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, env=env, text=True
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def mails(self) -> list[str]:
        return [line["mail"] for line in self.lines]

    def until(self, holds: Callable[[], object], within: float = 90) -> None:
        deadline = time.monotonic() + within
        while not holds():
            assert self.process.poll() is None, self._errors.read_text()
            assert time.monotonic() < deadline, f"{self.lines} {self._errors.read_text()}"
            time.sleep(0.1)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self._errors.read_text()
        self._reader.join(5)


@pytest.fixture
def nats_program(tmp_path: Path) -> str:
    """A PATH with the `nats` command line: the real one where it is installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    if not shutil.which("nats"):
        script = folder / "nats"
        stand_in = Path(__file__).with_name("stand_in_nats.py")
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{stand_in}" "$@"\n')
        script.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def publish(stack: Stack, file: Path, path: str | None = None) -> str:
    """Hands ``file`` in, by the shell when there is a ``path``, else in Python. The mail's id."""
    env = variables(stack, "mailsystem") | ({"PATH": path} if path else {})
    command = ["sh", HERE / "publish.sh"] if path else [sys.executable, HERE / "publish.py"]
    done = subprocess.run(
        [*command, file, "default"], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"[0-9a-f-]{36}", done.stdout.strip())
    return str(mail_id("default", file.read_bytes()))


def test_an_email_from_python_and_one_from_the_shell_become_drafts_that_wait_for_their_consumer(
    stack: Stack, tmp_path: Path, nats_program: str
) -> None:
    env = variables(stack, "downstream")
    command = [sys.executable, HERE / "consume_drafts.py"]
    began = datetime.now(UTC)
    consumer = Program(command, env, tmp_path)
    file = letter(tmp_path, "from-python", QUESTION)
    first = publish(stack, file)
    assert publish(stack, file) == first, "handed in twice: one e-mail"
    consumer.until(lambda: first in consumer.mails())
    consumer.stop()

    second = publish(stack, letter(tmp_path, "from-shell", QUESTION), nats_program)
    consumer = Program(command, env, tmp_path)  # it was down meanwhile
    consumer.until(lambda: second in consumer.mails())
    consumer.stop()
    assert consumer.mails().count(second) == 1
    assert first not in consumer.mails(), "it was handled before"

    replay = Program([*command, "--since", began.isoformat()], env, tmp_path)
    replay.until(lambda: {first, second} <= set(replay.mails()))
    replay.stop()
    assert replay.mails().count(first) == replay.mails().count(second) == 1
    assert all(line["sources"] for line in replay.lines)


def test_an_email_that_the_broker_does_not_take_is_not_said_to_be_taken(
    stack: Stack, tmp_path: Path, nats_program: str
) -> None:
    env = variables(stack, "downstream", PATH=nats_program)  # which may not publish e-mails
    file = letter(tmp_path, "refused", QUESTION)
    shell = ["sh", HERE / "publish.sh", file]
    done = subprocess.run(shell, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 75
    assert done.stdout == ""


class Receiver:
    """An HTTP address that refuses the first attempts of each event."""

    def __init__(self, refusals: int) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                seen = [h["webhook-id"] for h, _ in outer.got].count(self.headers["webhook-id"])
                self.send_response(204 if seen > refusals else 503)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: pytest's output is for failures."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/drafts"

    def of(self, mail: str) -> list[tuple[dict[str, str], bytes]]:
        return [(h, b) for h, b in self.got if json.loads(b)["data"]["mail"]["mail_id"] == mail]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver(refusals=1)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_the_relay_posts_signed_events_until_they_are_taken(
    stack: Stack, tmp_path: Path, receiver: Receiver
) -> None:
    env = variables(stack, "downstream", WEBHOOK_SECRET=SECRET)
    relay = Program([sys.executable, HERE / "webhook_relay.py", receiver.url], env, tmp_path)
    mail = publish(stack, letter(tmp_path, "to-webhook", QUESTION))
    relay.until(lambda: len(receiver.of(mail)) >= 2)
    time.sleep(1)
    relay.stop()
    attempts = receiver.of(mail)
    assert len(attempts) == 2, "refused once, then taken, then no more"
    assert len({headers["webhook-id"] for headers, _ in attempts}) == 1
    for headers, body in attempts:
        jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(body))
        assert headers["content-type"] == "application/cloudevents+json"
        assert headers["webhook-id"] == json.loads(body)["id"]
        assert abs(time.time() - int(headers["webhook-timestamp"])) < 300
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{wanted}"


@pytest.fixture(scope="module")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The JavaScript example with its packages."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("no node and npm here")
    root = tmp_path_factory.mktemp("javascript")
    folder = root / "examples/integrate/javascript"  # schemas are read from beside
    kept = shutil.ignore_patterns("node_modules")
    shutil.copytree(HERE / "javascript", folder, ignore=kept)
    shutil.copytree(REPOSITORY / "docs/contract", root / "docs/contract")
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=170,
    )
    if done.returncode:
        pytest.skip(f"npm could not install: {done.stderr[-300:]}")
    return folder


def test_the_javascript_consumer_gets_drafts(
    stack: Stack, tmp_path: Path, javascript: Path
) -> None:
    mail = publish(stack, letter(tmp_path, "to-javascript", QUESTION))
    command: list[str | Path] = ["node", javascript / "consume.mjs"]
    env = variables(stack, "downstream")
    consumer = Program(command, env, tmp_path)
    consumer.until(lambda: mail in consumer.mails())
    consumer.stop()
    later = publish(stack, letter(tmp_path, "to-javascript-again", QUESTION))
    again = Program(command, env, tmp_path)
    again.until(lambda: later in again.mails())
    again.stop()
    assert mail not in again.mails(), "a durable consumer goes on where it was"


def test_its_types_are_those_of_the_published_schema(javascript: Path) -> None:
    committed = (HERE / "javascript/draft-ready.d.ts").read_text()
    for script in ("types", "check"):
        done = subprocess.run(
            ["npm", "run", "--silent", script], cwd=javascript, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    told = "run `npm run types` in examples/integrate/javascript"
    assert (javascript / "draft-ready.d.ts").read_text() == committed, told


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (HERE / "javascript/package-lock.json").read_text()


def test_the_documentation_names_what_is_there() -> None:
    text = (REPOSITORY / "docs/integrate.md").read_text()
    for link in re.findall(r"\]\((?!http|#)([^)#]+)", text):
        assert (REPOSITORY / "docs" / link).exists(), link
    for file in HERE.glob("*.*"):
        assert file.name in text
