"""The geometry of plots. Templates draw the plots as SVG, without a script."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10

from django.utils.functional import Promise

WIDTH, HEIGHT = 800, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 10, 28
MOST_LABELS = 10

Text = str | Promise
Write = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a plot, as bars or as a line. `name` selects its pattern or its line style."""

    name: str
    label: Text
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Mark:
    """A bar or a point. The browser shows `title` as a tooltip."""

    name: str
    x: float
    y: float
    title: str
    width: float = 0
    height: float = 0


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass
class Plot:
    """The shapes of a plot for the template, and a table of the same numbers."""

    title: Text
    series: list[Series]
    labels: list[str]
    write: Write = str
    marks: list[Mark] = field(default_factory=list)
    paths: list[tuple[str, str]] = field(default_factory=list)
    across: list[Tick] = field(default_factory=list)
    up: list[Tick] = field(default_factory=list)
    note: Text = ""
    box = f"0 0 {WIDTH} {HEIGHT}"
    inner = (LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM)

    @property
    def is_empty(self) -> bool:
        return not any(value for one in self.series for value in one.values)

    @property
    def step(self) -> float:
        """The width of the space for one label (a day), in SVG units."""
        return (WIDTH - LEFT - RIGHT) / max(len(self.labels), 1)

    @property
    def table(self) -> list[tuple[str, list[str]]]:
        """The rows of the table: a label and the formatted values. Rows of zeros are left out."""
        rows = zip(self.labels, *(one.values for one in self.series), strict=True)
        return [
            (label, ["" if value is None else self.write(value) for value in values])
            for label, *values in rows
            if any(values)
        ]

    def mark(self, one: Series, number: int, x: float, y: float, *size: float) -> None:
        """Add a bar or a point for one value of a series."""
        title = f"{self.labels[number]}: {one.label}: {self.write(one.values[number] or 0)}"
        self.marks.append(Mark(one.name, x, y, title, *map(_tenth, size)))


def stacked(plot: Plot) -> Plot:
    """Draw one bar for each label. The bar stacks the values of all series."""
    columns = list(zip(*(one.values for one in plot.series), strict=True))
    scale = _scale(plot, max((sum(value or 0 for value in each) for each in columns), default=0))
    for number in range(len(plot.labels)):
        floor_at = 0.0
        left = _tenth(LEFT + plot.step * (number + 0.1))
        for one in plot.series:
            if value := one.values[number]:
                top = scale(floor_at + value)
                plot.mark(one, number, left, top, plot.step * 0.8, scale(floor_at) - top)
                floor_at += value
    return plot


def lines(plot: Plot, *, most: float | None = None) -> Plot:
    """Draw a line for each series. The line has a gap where a value is missing.

    `most` is the top of the vertical axis. If it is None, the top follows from the values.
    """
    values = [value for one in plot.series for value in one.values if value is not None]
    scale = _scale(plot, max(values, default=0), most)
    for one in plot.series:
        path, pen = [], "M"
        for number, value in enumerate(one.values):
            if value is None:
                pen = "M"
                continue
            x, y = _tenth(LEFT + plot.step * (number + 0.5)), scale(value)
            plot.mark(one, number, x, y)
            path.append(f"{pen}{x} {y}")
            pen = "L"
        plot.paths.append((one.name, " ".join(path)))
    return plot


def _scale(plot: Plot, highest: float, most: float | None = None) -> Callable[[float], float]:
    """Label both axes, and return a function that converts a value to its y position."""
    step = nice_step(highest) if most is None else most / 4
    top = most or (ceil(highest / step) or 1) * step

    def scale(value: float) -> float:
        return _tenth(TOP + (HEIGHT - BOTTOM - TOP) * (1 - float(value) / top))

    plot.up = [Tick(scale(step * n), plot.write(step * n)) for n in range(round(top / step) + 1)]
    every = ceil(len(plot.labels) / MOST_LABELS) or 1
    plot.across = [
        Tick(_tenth(LEFT + plot.step * (number + 0.5)), plot.labels[number])
        for number in range(0, len(plot.labels), every)
    ]
    return scale


def nice_step(highest: float) -> float:
    """Return the step between the labels of an axis that goes up to `highest`.

    The step is 1, 2 or 5 times a power of ten, and makes about four labels.
    """
    if highest <= 0:
        return 1
    raw = float(highest) / 4
    power = 10 ** floor(log10(raw))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= raw)


def _tenth(value: float) -> float:
    return round(value, 1)
