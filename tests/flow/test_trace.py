"""One e-mail's way through the whole stack, bridge included, as its trace, logs and figures tell.

A mail system hands it in by SMTP, an agent approves the draft, the reply leaves by SMTP. Spans
arrive at an OTLP/HTTP receiver in this process.
"""

from __future__ import annotations

import json
import re
import smtplib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.local.process import free_ports
from tests.fakes.endpoint import Reply, endpoint

from .conftest import EXAMPLES, Stack, running

pytestmark = [pytest.mark.xdist_group("trace"), pytest.mark.timeout(400)]
ADDRESS = "guichet@programme.example"
WORDS = ("Zéphyrine", "Quasimodo", "trampoline")
"""Words of the e-mail that nothing else says."""
TEXT = (
    "Bonjour,\n\nNotre collège Quasimodo a un trampoline. Peut-on présenter plusieurs écoles "
    "dans un seul dossier ?\n\nZéphyrine Arbogast\n"
)


@dataclass(frozen=True)
class Seen:
    """One span as it arrived."""

    name: str
    service: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]


@dataclass
class Collector:
    """What an OpenTelemetry collector takes."""

    url: str = ""
    spans: list[Seen] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def named(self, name: str) -> Seen:
        (span,) = [span for span in self.spans if span.name == name]
        return span


def taken(body: bytes) -> Iterator[Seen]:
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        told = {a.key: a.value.string_value for a in resource.resource.attributes}
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            attributes = {a.key: a.value.string_value for a in span.attributes}
            ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
            yield Seen(span.name, told["service.name"], *ids, attributes)


@contextmanager
def collector() -> Iterator[Collector]:
    state = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            state.raw.append(body)
            state.spans.extend(taken(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Outbox:
    """Takes the replies that leave."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        self.taken.append(envelope.content)
        return "250 OK"


@contextmanager
def mail_system() -> Iterator[tuple[int, Outbox]]:
    outbox, port = Outbox(), free_ports(1)[0]
    controller = Controller(outbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port, outbox
    finally:
        controller.stop()


def eventually(look: Callable[[], Any], within: float = 90) -> Any:
    deadline = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.2)
    return found


@dataclass
class Journey:
    """What was left behind by the one e-mail."""

    spans: Collector
    logs: dict[str, list[str]]
    metrics: dict[str, str]
    mail_id: str


def variables(otlp: str, smtp: int, listen: int, model: str) -> dict[str, str]:
    outgoing = {"host": "127.0.0.1", "port": smtp, "security": "none", "sender": ADDRESS}
    bridge = {"listen": {"smtp": listen}, "outgoing": {"default": outgoing}}
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "SOURCIER_BRIDGE": json.dumps(bridge),
        "SOURCIER_MAILBOXES": json.dumps({"default": {"addresses": [ADDRESS]}}),
        "SOURCIER_GENERATION__ENGINE": "openai",
        "SOURCIER_GENERATION__ENDPOINT": model,
        "SOURCIER_GENERATION__MODEL": "modele",
    }


def written() -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = "zephyrine@college.example", ADDRESS
    message["Subject"], message["Message-ID"] = "Trampoline", "<z1@college.example>"
    message.set_content(TEXT)
    return message.as_bytes()


def approve(stack: Stack, draft_id: str) -> None:
    with stack.feedback() as api:
        told = api.post(f"/v1/drafts/{draft_id}/review", json={"decision": "approved"})
    assert told.status_code == 200, told.text


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    listen = free_ports(1)[0]
    with (
        collector() as spans,
        mail_system() as (smtp, outbox),
        endpoint(Reply(status=503)) as model,
        pytest.MonkeyPatch.context() as environment,
    ):
        for name, value in variables(spans.url, smtp, listen, model.url).items():
            environment.setenv(name, value)
        data = tmp_path_factory.mktemp("trace") / "data"
        for stack in running(data):
            stack.run("add", EXAMPLES / "documents" / "foire-aux-questions.html")
            with smtplib.SMTP("127.0.0.1", listen, timeout=10) as client:
                client.sendmail("zephyrine@college.example", [ADDRESS], written())
            (draft,) = eventually(stack.drafts)
            approve(stack, draft["draft_id"])
            eventually(lambda: outbox.taken)
            eventually(lambda: [s for s in spans.spans if s.name == "process feedback-sent"])
            services = stack.state()["services"]
            metrics = {
                name: httpx.get(f"{row['url']}/metrics").text for name, row in services.items()
            }
        logs = {name: (data / "logs" / f"{name}.log").read_text().splitlines() for name in services}
        yield Journey(spans, logs, metrics, draft["mail_id"])


PARENTS = {
    "process ingest-mail": "send mail.received.v1",
    "process embed-mail": "process ingest-mail",
    "process feedback-mail": "process ingest-mail",
    "process retrieve-mail": "process embed-mail",
    "process generate-draft": "process retrieve-mail",
    "process feedback-draft": "process generate-draft",
    "send review.recorded.v1": "process generate-draft",
    "send reply.approved.v1": "process generate-draft",
    "process mail-reply": "send reply.approved.v1",
    "process feedback-sent": "process mail-reply",
}


def test_one_trace_has_one_span_per_stage_with_the_right_parents(journey: Journey) -> None:
    root = journey.spans.named("send mail.received.v1")
    assert (root.parent, root.service) == ("", "sourcier-mail")
    for name, parent in PARENTS.items():
        span = journey.spans.named(name)
        assert span.parent == journey.spans.named(parent).id, name
        assert span.trace == root.trace, name
        service = name.split()[1].split("-")[0] if "process" in name else "feedback"
        assert span.service == f"sourcier-{service}"


def test_requests_to_the_model_and_to_embed_are_below_the_draft(journey: Journey) -> None:
    draft = journey.spans.named("process generate-draft").id
    below = defaultdict(list)
    for span in journey.spans.spans:
        if span.parent == draft:
            below[span.name].append(span)
    assert below["chat modele"]
    assert all(span.attributes["error.type"] == "Unavailable" for span in below["chat modele"])
    assert all(span.service == "sourcier-embed" for span in below["process query.embed.v1"])
    assert below["process query.embed.v1"]


def test_spans_name_the_mail_and_hold_none_of_its_words(journey: Journey) -> None:
    for name in ("process embed-mail", "process generate-draft", "process mail-reply"):
        assert journey.spans.named(name).attributes["sourcier.mail_id"] == journey.mail_id
    everything = b"".join(journey.spans.raw).lower()
    for word in WORDS:
        assert word.lower().encode() not in everything


def test_logs_name_mail_event_and_trace_at_each_stage(journey: Journey) -> None:
    trace = journey.spans.named("send mail.received.v1").trace
    handled = {}
    for lines in journey.logs.values():
        for line in map(json.loads, lines):
            if line["event"] == "handled" and line["trace_id"] == trace:
                handled[line["stage"]] = line
    stages = {name.removeprefix("process ") for name in PARENTS if name.startswith("process")}
    assert set(handled) == stages
    for stage, line in handled.items():
        assert line["mail_id"] == journey.mail_id, stage
        assert re.fullmatch(r"[0-9a-f-]{36}", line["event_id"]), stage
        assert (line["outcome"], line["level"]) == ("ack", "info"), stage
    for service in ("mail", "feedback"):  # which also say events outside of any stage
        said = [line for line in map(json.loads, journey.logs[service]) if line["event"] == "said"]
        assert said
        assert {line["trace_id"] for line in said} == {trace}


def test_logs_at_info_hold_no_word_of_the_mail_nor_its_address(journey: Journey) -> None:
    for service, lines in journey.logs.items():
        text = json.dumps([json.loads(line) for line in lines], ensure_ascii=False).lower()
        for word in (*WORDS, "college.example", "plusieurs écoles"):
            assert word.lower() not in text, service


def sample(text: str, name: str) -> float:
    found = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    assert found, f"no {name}"
    return float(found[0].split()[-1])


def test_each_stage_counts_what_it_did(journey: Journey) -> None:
    for stage in (name.removeprefix("process ") for name in PARENTS if "process" in name):
        text = journey.metrics[stage.split("-")[0]]
        label = f'{{stage="{stage}"}}'
        assert sample(text, f'sourcier_handled_total{{outcome="ack",stage="{stage}"}}') == 1
        assert sample(text, f'sourcier_handled_total{{outcome="deadletter",stage="{stage}"}}') == 0
        assert sample(text, f"sourcier_latency_seconds_count{label}") == 1
        assert sample(text, f"sourcier_in_hand{label}") == 0
        assert sample(text, f"sourcier_oldest_seconds{label}") == 0
    generate = journey.metrics["generate"]
    assert sample(generate, 'sourcier_draft_seconds_count{outcome="ready"}') == 1
    assert sample(journey.metrics["embed"], "sourcier_batch_texts_count") >= 1
    for stream in ("MAIL", "DRAFT"):
        assert sample(generate, f'sourcier_stream_limit_bytes{{stream="{stream}"}}') > 1e6
