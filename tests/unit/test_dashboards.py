"""The dashboard, the alert rules and what provisions them: every name in them exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from shared import telemetry
from shared.delivery import Ack, DeadLetter, Retry
from shared.events import DeclineReason
from shared.registry import BY_TYPE
from shared.topology import STAGES

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "observe" / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
PROMETHEUS = yaml.safe_load((DEPLOY / "observe" / "prometheus.yaml").read_text())
FUNCTIONS = {
    "sum",
    "max",
    "min",
    "count",
    "rate",
    "increase",
    "histogram_quantile",
    "absent",
    "by",
    "on",
    "and",
    "or",
    "unless",
}
TARGET_LABELS = {"job", "instance", "service", "le"}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def names() -> dict[str, set[str]]:
    """Every metric of a service by the name that a query uses, with its labels."""
    assert telemetry.HANDLED  # importing it is what declares them
    found: dict[str, set[str]] = {"up": set()}
    for metric in REGISTRY.collect():
        for suffix in SUFFIXES.get(metric.type, ()):
            found[f"{metric.name}{suffix}"] = {k for s in metric.samples for k in s.labels}
    for metric in vars(telemetry).values():
        labels = getattr(metric, "_labelnames", None)
        for collected in metric.collect() if labels is not None else ():
            for suffix in SUFFIXES[collected.type]:
                found[f"{collected.name}{suffix}"] = set(labels or ())
    return found


def queries() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


QUERIES = list(queries())


@pytest.mark.parametrize(
    ("where", "query"), QUERIES, ids=[f"{w}-{i}" for i, (w, _) in enumerate(QUERIES)]
)
def test_every_metric_and_label_of_a_query_exists(where: str, query: str) -> None:
    known = names()
    grouped = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", query)
    bare = re.sub(r"\b(?:by|on)\s*\([^)]*\)|\{[^}]*\}|\[[^]]*\]", " ", query)
    metrics = set(re.findall(r"[a-z_:][a-z0-9_:]*", bare)) - FUNCTIONS
    assert metrics, query
    assert metrics <= set(known), f"{where}: unknown {metrics - set(known)}"
    labels = set.union(*(known[name] for name in metrics)) | TARGET_LABELS
    wanted = {each.strip() for group in grouped for each in group.split(",")}
    wanted |= set(re.findall(r'([a-z_]+)\s*(?:=~|!=|!~|=)\s*"', query))
    assert wanted <= labels, f"{where}: unknown labels {wanted - labels}"


def matched(label: str) -> Iterator[tuple[str, str]]:
    for where, query in QUERIES:
        for operator, value in re.findall(rf'\b{label}(=~|!=|=)"([^"]*)"', query):
            yield operator, value
            assert where


def test_values_of_labels_exist() -> None:
    """A stage that is renamed must be renamed in the rules too."""
    stages = {stage.durable for stage in STAGES}
    outcomes = {kind.__name__.lower() for kind in (Ack, Retry, DeadLetter)}
    for label, possible in (
        ("stage", stages),
        ("outcome", outcomes | {"answered"}),
        ("type", set(BY_TYPE)),
    ):
        for operator, value in matched(label):
            if value == "$stage":
                continue
            pattern = value if operator == "=~" else re.escape(value)
            assert [each for each in possible if re.fullmatch(pattern, each)], f"{label} {value}"


def test_each_metric_is_on_the_dashboard() -> None:
    text = json.dumps(DASHBOARD)
    for metric in vars(telemetry).values():
        for collected in metric.collect() if hasattr(metric, "_labelnames") else ():
            assert collected.name in text, f"{collected.name} is shown nowhere"


def test_rules_say_what_to_do() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert rule["annotations"]["summary"]
        assert len(rule["annotations"]["description"]) > 40


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_data_sources_are_those_of_the_panels() -> None:
    given = yaml.safe_load((DEPLOY / "grafana" / "datasources.yaml").read_text())["datasources"]
    uids = {each["uid"] for each in given}
    used = set(re.findall(r'"uid": "([a-z]+)"', json.dumps(DASHBOARD["panels"])))
    assert used <= uids


def test_prometheus_scrapes_services_that_compose_runs() -> None:
    compose = yaml.safe_load((DEPLOY.parent / "compose.yaml").read_text())["services"]
    job: dict[str, Any] = next(
        j for j in PROMETHEUS["scrape_configs"] if j["job_name"] == "sourcier"
    )
    (found,) = job["dns_sd_configs"]
    assert set(found["names"]) <= set(compose)
    for name in found["names"]:
        given = compose[name]["environment"]
        assert str(found["port"]) == given["SOURCIER_HTTP__METRICS_PORT"], name
    down = {rule["labels"]["service"] for rule in RULES if rule["alert"] == "SourcierServiceDown"}
    assert down == set(found["names"]) - {"mail"}, "mail runs only where it is configured"
    assert PROMETHEUS["rule_files"] == ["/etc/prometheus/alerts.yaml"]


def test_reasons_fit_into_labels() -> None:
    """Refusals are counted by reason: a closed list, never free text."""
    assert all(re.fullmatch(r"[a-z-]+", reason) for reason in DeclineReason.__args__)
