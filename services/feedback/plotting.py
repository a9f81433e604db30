"""Bars as SVG: their colours have patterns, their values are written. Pure.

No style attributes: the page's policy refuses them; ``figures.css`` gives the classes their look.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

WIDTH = 640
PLOT = 250
"""Height of upright bars."""
ROW = 34
GAP = 0.28
"""Share of a bar's place that stays free."""
LABEL = 225
"""Room for the names of lying bars."""
NAME_MOST = 32
TEXT_LEAST = 26
"""Pixels that a value written into a bar needs."""


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of value, in the order of the bars; ``look`` is 1 to 4: a colour and a pattern."""

    name: str
    look: int
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """What a plot says: ``ident`` is unique on its page, ``written`` the words of each value.

    ``upright`` bars stand side by side, in time; others lie under each other. ``marks`` are
    points beyond the bars, such as a 90th percentile, that ``mark_name`` explains.
    """

    ident: str
    title: str
    described: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    written: tuple[tuple[str, ...], ...]
    upright: bool
    axis: tuple[tuple[float, str], ...] = ()
    marks: tuple[float | None, ...] = ()
    mark_name: str = ""


def svg(plot: Plot) -> str:
    """The plot as an SVG element, all its text escaped; "" without any value."""
    if not plot.labels or _largest(plot) <= 0:
        return ""
    draw = _Drawing(plot)
    title, described = f"{plot.ident}-t", f"{plot.ident}-d"
    inside = (
        _tag("title", plot.title, id=title)
        + _tag("desc", plot.described, id=described)
        + _defs(plot)
        + draw.axis()
        + draw.bars()
        + draw.names()
        + draw.legend()
    )
    return _tag(
        "svg",
        viewBox=f"0 0 {WIDTH} {_n(draw.height)}",
        role="img",
        aria_labelledby=f"{title} {described}",
        class_="plot-svg",
        inside=inside,
    )


def steps(largest: float, most: int = 5) -> list[float]:
    """Round values from 0 to at least ``largest``, at most ``most`` + 1 of them."""
    if largest <= 0:
        return [0.0]
    rough = largest / most
    power: float = 10 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough * 0.999)
    return [step * n for n in range(math.ceil(largest / step - 0.001) + 1)]


def _largest(plot: Plot) -> float:
    sums = (sum(each.values[at] for each in plot.series) for at in range(len(plot.labels)))
    marks = (mark for mark in plot.marks if mark is not None)
    return max((*sums, *marks), default=0.0)


class _Drawing:
    """Places: ``along`` is the direction of values, ``across`` that of the bars."""

    def __init__(self, plot: Plot) -> None:
        self._plot = plot
        self._scale_to = max((value for value, _ in plot.axis), default=0.0) or _largest(plot)
        count = len(plot.labels)
        self._left = 52 if plot.upright else LABEL
        self._top = 14 if plot.upright else 8
        self._along = PLOT if plot.upright else WIDTH - LABEL - 24
        room = WIDTH - self._left - 12
        self._place = min(room / count, 88.0) if plot.upright else float(ROW)
        self._bottom = self._top + (PLOT if plot.upright else ROW * count)
        self.height = self._bottom + 34 + 24

    def _far(self, value: float) -> float:
        return value / self._scale_to * self._along

    def _box(self, at: int, start: float, end: float) -> tuple[float, float, float, float]:
        """x, y, width, height of the bar ``at`` from value ``start`` to ``end``."""
        thick = min(self._place * (1 - GAP), 48.0)
        across = at * self._place + (self._place - thick) / 2
        near, long = self._far(start), self._far(end) - self._far(start)
        if self._plot.upright:
            return self._left + across, self._bottom - near - long, thick, long
        return self._left + near, self._top + across, long, thick

    def bars(self) -> str:
        drawn = []
        for at in range(len(self._plot.labels)):
            base = 0.0
            for series, written in zip(self._plot.series, self._plot.written, strict=True):
                value = series.values[at]
                drawn.append(self._bar(at, base, base + value, series.look, written[at]))
                base += value
            drawn.append(self._mark(at))
        return "".join(drawn)

    def _bar(self, at: int, start: float, end: float, look: int, written: str) -> str:
        if end <= start:
            return ""
        x, y, wide, high = self._box(at, start, end)
        fill = f"url(#{self._plot.ident}-{look})"
        box = {"x": _n(x), "y": _n(y), "width": _n(wide), "height": _n(high)}
        drawn = _tag("rect", class_=f"bar bar-{look}", fill=fill, **box)
        if wide < TEXT_LEAST + 4 * max(0, len(written) - 3) or high < 17:
            return drawn
        middle = {"x": _n(x + wide / 2), "y": _n(y + high / 2 + 4.5)}
        return drawn + _tag("text", written, class_=f"value value-{look}", **middle)

    def _mark(self, at: int) -> str:
        mark = self._plot.marks[at] if self._plot.marks else None
        if mark is None:
            return ""
        x, y, wide, high = self._box(at, mark, mark)
        x2, y2 = (x + wide, y) if self._plot.upright else (x, y + high)
        return _tag("line", class_="mark", x1=_n(x), y1=_n(y), x2=_n(x2), y2=_n(y2))

    def axis(self) -> str:
        drawn = []
        for value, written in self._plot.axis:
            far = self._far(value)
            if self._plot.upright:
                y = self._bottom - far
                x1, y1, x2, y2 = float(self._left), y, WIDTH - 12.0, y
                look, x, below = "tick end", self._left - 8.0, y + 4
            else:
                x = self._left + far
                x1, y1, x2, y2 = x, float(self._top), x, float(self._bottom)
                look, below = "tick middle", self._bottom + 16.0
            ends = {"x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2)}
            drawn.append(_tag("line", class_="grid" if value else "grid zero", **ends))
            drawn.append(_tag("text", written, class_=look, x=_n(x), y=_n(below)))
        return "".join(drawn)

    def names(self) -> str:
        drawn = []
        every = max(1, math.ceil(62 / self._place)) if self._plot.upright else 1
        last = len(self._plot.labels) - 1
        for at, label in enumerate(self._plot.labels):
            # Counted from the last one, which is the present week.
            if (last - at) % every:
                continue
            middle = (at + 0.5) * self._place
            if self._plot.upright:
                place = {"x": _n(self._left + middle), "y": _n(self._bottom + 18)}
                drawn.append(_tag("text", label, class_="tick middle", **place))
                continue
            short = label if len(label) <= NAME_MOST else f"{label[: NAME_MOST - 1]}…"
            place = {"x": _n(self._left - 8), "y": _n(self._top + middle + 4.5)}
            drawn.append(_tag("text", short, class_="name end", **place))
        return "".join(drawn)

    def legend(self) -> str:
        y = self.height - 12
        x, drawn = 8.0, []
        for series in self._plot.series:
            fill = f"url(#{self._plot.ident}-{series.look})"
            box = {"x": _n(x), "y": _n(y - 11), "width": "16", "height": "13"}
            drawn.append(_tag("rect", class_=f"bar bar-{series.look}", fill=fill, **box))
            drawn.append(_tag("text", series.name, class_="key", x=_n(x + 22), y=_n(y)))
            x += 22 + 7.4 * len(series.name) + 18
        if self._plot.mark_name:
            ends = {"x1": _n(x), "x2": _n(x + 16), "y1": _n(y - 5), "y2": _n(y - 5)}
            drawn.append(_tag("line", class_="mark", **ends))
            drawn.append(_tag("text", self._plot.mark_name, class_="key", x=_n(x + 22), y=_n(y)))
        return "".join(drawn)


def _defs(plot: Plot) -> str:
    """A pattern for each series: plain, stripes, dots, cross stripes, on the series' colour."""
    drawn = []
    for look in sorted({series.look for series in plot.series}):
        ground = _tag("rect", class_=f"ground-{look}", width="8", height="8")
        over = {
            1: "",
            2: _tag("path", class_="over", d="M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4"),
            3: _tag("circle", class_="dot", cx="2", cy="2", r="1.3")
            + _tag("circle", class_="dot", cx="6", cy="6", r="1.3"),
            4: _tag("path", class_="over", d="M0,0 l8,8 M0,8 l8,-8"),
        }[look]
        drawn.append(
            _tag(
                "pattern",
                id=f"{plot.ident}-{look}",
                patternUnits="userSpaceOnUse",
                width="8",
                height="8",
                inside=ground + over,
            )
        )
    return _tag("defs", inside="".join(drawn))


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _tag(name: str, text: str = "", *, inside: str = "", **attributes: str) -> str:
    """An element; names end in _ where Python keeps them, other _ are hyphens."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{said}>{escape(text)}{inside}</{name}>"
