"""The published contract: golden events still read, schemas have not drifted."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from shared import contract
from shared.delivery import Invalid
from shared.envelope import Event, caused
from shared.events import MailAccepted, MailReceived, MailReceivedData, OfMail
from shared.registry import BY_TYPE, CONTRACT, decode
from shared.topology import SAYS, STAGES, STREAMS, stream_of
from tests import samples

GOLDEN = Path(__file__).parent / "golden"
REPOSITORY = Path(__file__).parents[2]


def golden(kind: type[Event]) -> bytes:
    return (GOLDEN / f"{kind.nats_prefix()}.json").read_bytes()


def contains(whole: object, part: object) -> bool:
    """Whether ``whole`` says all that ``part`` says; fields added since are allowed."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            k in whole and contains(whole[k], part[k]) for k in part
        )
    if isinstance(part, list):
        return (
            isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
        )
    return whole == part


@pytest.mark.parametrize("kind", CONTRACT, ids=lambda kind: kind.nats_prefix())
def test_golden_event_reads_and_says_the_same_again(kind: type[Event]) -> None:
    event = decode(golden(kind))
    assert type(event) is kind
    assert contains(json.loads(event.model_dump_json()), json.loads(golden(kind)))


@pytest.mark.parametrize("kind", CONTRACT, ids=lambda kind: kind.nats_prefix())
def test_golden_event_keeps_its_published_schema(kind: type[Event]) -> None:
    schema = json.loads(
        (REPOSITORY / f"docs/contract/schemas/{kind.nats_prefix()}.json").read_text()
    )
    jsonschema.Draft202012Validator(schema).validate(json.loads(golden(kind)))


def test_there_is_one_golden_file_per_type() -> None:
    assert {p.stem for p in GOLDEN.glob("*.json")} == {k.nats_prefix() for k in CONTRACT}


def test_generated_contract_has_not_drifted() -> None:
    assert contract.drift(REPOSITORY / "docs/contract") == []


def test_samples_cover_every_type() -> None:
    assert {event.type for event in samples.events()} == set(BY_TYPE)


def test_an_unknown_field_is_ignored_and_an_unknown_version_refused() -> None:
    body = json.loads(golden(MailReceived))
    body["data"]["added_later"] = 1
    assert decode(json.dumps(body).encode()).type == MailReceived.TYPE
    body["type"] = "sourcier.mail.received.v2"
    with pytest.raises(Invalid, match="unknown event type or version"):
        decode(json.dumps(body).encode())


def test_wrong_values_are_named_without_being_repeated() -> None:
    body = json.loads(golden(MailAccepted))
    body["data"]["mail"]["received"] = "SECRET"
    with pytest.raises(Invalid, match=r"data\.mail\.received") as refused:
        decode(json.dumps(body).encode())
    assert "SECRET" not in str(refused.value)


def test_claim_check_wants_exactly_one_body() -> None:
    for body in ({}, {"content": b"QQ==", "key": "inbox/x"}):
        with pytest.raises(ValidationError, match="exactly one"):
            MailReceivedData(mailbox="default", **body)


@pytest.mark.parametrize("key", ["documents/a/b/original", "inbox/../mails/x.eml"])
def test_a_key_outside_the_inbox_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match="below inbox/"):
        MailReceivedData(mailbox="default", key=key)


@pytest.mark.parametrize("content", ["not base64!", "QQ", "QQ==\nQQ=="])
def test_a_broken_inline_body_is_refused(content: str) -> None:
    body = json.loads(golden(MailReceived))
    body["data"]["content"] = content
    with pytest.raises(Invalid, match=r"data\.content: .*not base64"):
        decode(json.dumps(body).encode())


def test_events_are_frozen() -> None:
    event = samples.received()
    with pytest.raises(ValidationError, match="frozen"):
        event.source = "other"  # type: ignore[misc]  # what is tested


def test_a_derived_event_has_the_same_id_each_time() -> None:
    first = samples.received()
    twice = [
        caused(first, MailAccepted, source=where, time=samples.AT, data=OfMail(mail=samples.MAIL))
        for where in ("one", "two")
    ]
    assert twice[0].id == twice[1].id != first.id
    other = caused(
        first,
        MailAccepted,
        source="one",
        time=samples.AT,
        data=OfMail(mail=samples.MAIL),
        discriminator="x",
    )
    assert other.id != twice[0].id


def test_every_event_has_a_stream_and_every_heard_event_is_said_by_somebody() -> None:
    assert {stream_of(kind).name for kind in CONTRACT} == {s.name for s in STREAMS}
    said = {kind for kinds in SAYS.values() for kind in kinds}
    from_outside = {"document.removed.v1", "mail.erased.v1"}
    assert all(s.event in said or s.event.nats_prefix() in from_outside for s in STAGES)
    assert len({stage.durable for stage in STAGES}) == len(STAGES)


def test_asyncapi_names_only_what_exists() -> None:
    document = json.loads((REPOSITORY / "docs/contract/asyncapi.json").read_text())
    for operation in document["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in document["channels"]
    for channel in document["channels"].values():
        for message in channel["messages"].values():
            assert (REPOSITORY / "docs/contract" / message["payload"]["$ref"]).is_file()
