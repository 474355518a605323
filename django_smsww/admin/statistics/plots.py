"""The geometry of plots, for templates that draw it as SVG: no script, and no colour alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10

from django.utils.functional import Promise

WIDTH, HEIGHT = 800, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 10, 28
MOST_LABELS = 10
RANK_HEIGHT = 22

Text = str | Promise
Write = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Series:
    """What one pattern or line stands for; `name` chooses it in the style sheet."""

    name: str
    label: Text
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Mark:
    """A bar or a point, with what it says to who rests on it."""

    name: str
    x: float
    y: float
    title: str
    width: float = 0
    height: float = 0


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis, and its label."""

    at: float
    label: str


@dataclass
class Plot:
    """Everything that a template draws, and the table of the same numbers."""

    key: str
    title: Text
    series: list[Series]
    labels: list[str]
    write: Write = str
    marks: list[Mark] = field(default_factory=list)
    paths: list[tuple[str, str]] = field(default_factory=list)
    across: list[Tick] = field(default_factory=list)
    up: list[Tick] = field(default_factory=list)
    note: Text = ""
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def box(self) -> str:
        """The view box."""
        return f"0 0 {self.width} {self.height}"

    @property
    def inner(self) -> tuple[int, int, int]:
        """Where the axes begin and end: left, right and bottom."""
        return LEFT, self.width - RIGHT, self.height - BOTTOM

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value for one in self.series for value in one.values)

    @property
    def table(self) -> list[tuple[str, list[str]]]:
        """The lines of the table; those that say nothing are left out."""
        lines = zip(self.labels, *(one.values for one in self.series), strict=True)
        return [
            (label, ["" if value is None else self.write(value) for value in values])
            for label, *values in lines
            if any(value is not None and value != 0 for value in values)
        ]


def stacked(plot: Plot) -> Plot:
    """Draw one bar for each label, the series one upon the other."""
    sums = [sum(one.values[n] or 0 for one in plot.series) for n in range(len(plot.labels))]
    scale = _scale(plot, max(sums, default=0))
    step = (WIDTH - LEFT - RIGHT) / max(len(plot.labels), 1)
    for number, label in enumerate(plot.labels):
        floor_at = 0.0
        for one in plot.series:
            value = one.values[number] or 0
            if value:
                top = scale(floor_at + value)
                plot.marks.append(
                    Mark(
                        one.name,
                        _tenth(LEFT + step * number + step * 0.1),
                        top,
                        f"{label}: {one.label}: {plot.write(value)}",
                        _tenth(step * 0.8),
                        _tenth(scale(floor_at) - top),
                    )
                )
            floor_at += value
    _label_days(plot, step)
    return plot


def lines(plot: Plot, *, most: float | None = None) -> Plot:
    """Draw a line for each series, broken where there is no value."""
    values = [value for one in plot.series for value in one.values if value is not None]
    scale = _scale(plot, max(values, default=0), most)
    step = (WIDTH - LEFT - RIGHT) / max(len(plot.labels), 1)
    for one in plot.series:
        path, pen = [], "M"
        for number, value in enumerate(one.values):
            if value is None:
                pen = "M"
                continue
            x, y = _tenth(LEFT + step * (number + 0.5)), scale(value)
            path.append(f"{pen}{x} {y}")
            pen = "L"
            title = f"{plot.labels[number]}: {one.label}: {plot.write(value)}"
            plot.marks.append(Mark(one.name, x, y, title))
        plot.paths.append((one.name, " ".join(path)))
    _label_days(plot, step)
    return plot


def _scale(plot: Plot, highest: float, most: float | None = None) -> Callable[[float], float]:
    """Choose round numbers for the axis, and return what turns a value into a height."""
    step = nice_step(highest) if most is None else most / 4
    top = most or (ceil(highest / step) or 1) * step
    depth = plot.height - BOTTOM - TOP

    def scale(value: float) -> float:
        return _tenth(TOP + depth * (1 - float(value) / top))

    count = round(top / step)
    plot.up = [Tick(scale(step * n), plot.write(step * n)) for n in range(count + 1)]
    return scale


def nice_step(highest: float) -> float:
    """Return the distance of about four round numbers up to the highest: 1, 2 or 5 and zeros."""
    if highest <= 0:
        return 1
    raw = float(highest) / 4
    power = 10 ** floor(log10(raw))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= raw)


def _label_days(plot: Plot, step: float) -> None:
    every = ceil(len(plot.labels) / MOST_LABELS) or 1
    plot.across = [
        Tick(_tenth(LEFT + step * (number + 0.5)), label)
        for number, label in enumerate(plot.labels)
        if number % every == 0
    ]


def _tenth(value: float) -> float:
    return round(value, 1)
