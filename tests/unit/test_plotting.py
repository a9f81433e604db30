"""Plots are SVG that says in words what it shows, and lets no label become markup."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from services.feedback.plotting import Plot, Series, steps, svg

SVG = Plot(
    ident="p",
    title="Décisions",
    described="Deux semaines.",
    labels=("3 nov.", "10 nov."),
    series=(Series("Approuvés", 1, (30, 0)), Series("Corrigés", 2, (10, 60))),
    written=(("30", "0"), ("10", "60")),
    upright=True,
    axis=((0, "0"), (50, "50"), (100, "100")),
)


def parsed(plot: Plot) -> ET.Element:
    return ET.fromstring(svg(plot))  # noqa: S314 - our own text


def bars(plot: Plot) -> list[dict[str, float]]:
    found = [e.attrib for e in parsed(plot).iter("rect") if e.get("class", "").startswith("bar")]
    return [{k: float(e[k]) for k in ("x", "y", "width", "height")} for e in found]


@pytest.mark.parametrize("upright", [True, False])
def test_bars_are_as_long_as_their_values(upright: bool) -> None:
    plot = replace(SVG, upright=upright)
    first, second, third, *_keys = bars(plot)
    along = "height" if upright else "width"
    assert first[along] == pytest.approx(3 * second[along], abs=0.4)
    assert third[along] == pytest.approx(2 * first[along], abs=0.4)
    # The second stands upon the first, or right of it.
    if upright:
        assert second["y"] + second["height"] == pytest.approx(first["y"], abs=0.2)
        assert third["x"] > first["x"]
    else:
        assert first["x"] + first["width"] == pytest.approx(second["x"], abs=0.2)
        assert third["y"] > first["y"]


@pytest.mark.parametrize("upright", [True, False])
def test_everything_is_within_the_picture(upright: bool) -> None:
    for count in (1, 2, 12, 53):
        labels = tuple(f"boîte-{n}" for n in range(count))
        values = tuple(float(n + 1) for n in range(count))
        plot = replace(
            SVG,
            upright=upright,
            labels=labels,
            series=(Series("a", 1, values),),
            written=(tuple(map(str, values)),),
            marks=tuple(v + 1 for v in values),
            axis=tuple((v, str(v)) for v in steps(count + 1)),
        )
        _, _, width, height = map(float, parsed(plot).attrib["viewBox"].split())
        for box in bars(plot):
            assert 0 <= box["x"] <= box["x"] + box["width"] <= width
            assert 0 <= box["y"] <= box["y"] + box["height"] <= height


def test_it_says_what_it_shows_without_colours() -> None:
    root = parsed(SVG)
    assert root.get("role") == "img"
    ids = {element.get("id"): element.text for element in root if element.get("id")}
    told = [ids[name] for name in (root.get("aria-labelledby") or "").split()]
    assert told == ["Décisions", "Deux semaines."]
    fills = {e.get("fill") for e in root.iter("rect") if e.get("class", "").startswith("bar")}
    assert fills == {"url(#p-1)", "url(#p-2)"}
    assert len({ET.tostring(pattern) for pattern in root.iter("pattern")}) == 2
    texts = [element.text for element in root.iter("text")]
    assert {"30", "10", "60", "Approuvés", "Corrigés", "10 nov."} <= set(texts)
    assert not re.search(r"\sstyle=", svg(SVG)), "the policy of the page refuses style attributes"


def test_labels_never_become_markup() -> None:
    evil = '"><script>alert(1)</script><g onload="x'
    plot = replace(
        SVG,
        title=evil,
        described=evil,
        labels=(evil, evil),
        series=(Series(evil, 1, (1, 2)),),
        written=((evil, evil),),
        mark_name=evil,
        marks=(2, None),
        axis=((0, evil), (2, evil)),
    )
    for upright in (True, False):
        root = parsed(replace(plot, upright=upright))
        assert {element.tag for element in root.iter()} <= {
            *("svg", "title", "desc", "defs", "pattern", "rect", "path", "circle"),
            *("line", "text"),
        }
        assert not [k for e in root.iter() for k in e.attrib if k.startswith("on")]


def test_nothing_to_show_shows_nothing() -> None:
    assert svg(replace(SVG, labels=(), series=(Series("a", 1, ()),), written=((),))) == ""
    assert svg(replace(SVG, series=(Series("a", 1, (0, 0)),), written=(("0", "0"),))) == ""


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        (0, [0]),
        (1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (7, [0, 2, 4, 6, 8]),
        (100, [0, 20, 40, 60, 80, 100]),
        (1234, [0, 500, 1000, 1500]),
    ],
)
def test_axes_have_round_steps(largest: float, expected: list[float]) -> None:
    assert steps(largest) == pytest.approx(expected)
