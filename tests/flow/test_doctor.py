"""``sourcier doctor`` and ``config show`` against a running stack."""

from __future__ import annotations

import json

import pytest

from .conftest import Stack

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(400)]


def test_a_running_stack_is_well(stack: Stack) -> None:
    done = stack.run("doctor", "--json", ok=False)
    findings = json.loads(done.stdout)["findings"]
    # Tests that share this stack leave dead letters on purpose.
    problems = [f for f in findings if f["state"] == "problem" and f["topic"] != "dead letters"]
    assert problems == []
    well = {f["topic"]: f["told"] for f in findings if f["state"] == "ok"}
    servers = {"broker", "topology", "database", "object store", "index", "embed"}
    services = {"ingest", "retrieve", "generate", "feedback"}
    assert servers | services | {"tables of ingest", "tables of feedback"} <= set(well)
    assert "documents" in well["index"]


def test_settings_of_the_stack_are_told_as_its_own(stack: Stack) -> None:
    rows = {row["name"]: row for row in stack.json("config", "show")}
    assert rows["nats.url"]["source"] == "the running stack"
    assert rows["objects.secret_key"]["value"] == "(hidden)"
    assert rows["retrieval.method"]["source"] == "default"
