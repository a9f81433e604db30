"""Prometheus counters of several processes as one exposition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families


def merged(texts: Sequence[str], label: str) -> str:
    """The expositions ``texts`` in one, told apart by ``label``: each text's place."""
    return generate_latest(_Together(texts, label)).decode()


class _Together:
    def __init__(self, texts: Sequence[str], label: str) -> None:
        self._texts = texts
        self._label = label

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for place, text in enumerate(self._texts):
            for family in text_string_to_metric_families(text):
                kept = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = sample.labels | {self._label: str(place)}
                    kept.samples.append(sample._replace(labels=labels))
        return families.values()
