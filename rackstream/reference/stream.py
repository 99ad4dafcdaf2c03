"""The stream as a picture: who writes which topic, who reads it. Drawn from the catalogue and the steps. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from processors.registry import joined, mounted
from schemas import catalog
from sinks import datasets

COLUMNS: Final = (10, 190, 470, 650, 930)
"""Left edges of sources, raw topics, processors, derived topics, sinks."""
WIDTHS: Final = (130, 190, 130, 200, 110)
HEIGHT: Final = 22
GAP: Final = 10
STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #1d2733; }
.box { fill: #f4f6f8; stroke: #9aa7b4; }
.topic { fill: #e8f1fb; stroke: #5b8fc7; }
.arrow { stroke: #9aa7b4; fill: none; }
.title { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  text { fill: #dfe6ee; } .box { fill: #26303a; } .topic { fill: #1c3350; }
}"""


Edge = tuple[tuple[str, int], tuple[str, int]]


class Box(NamedTuple):
    """One thing in a column."""

    name: str
    column: int
    kind: str = "box"


def svg() -> str:
    """The picture."""
    topics = catalog.load().topics
    edges = list(_edges())
    names = [
        dict.fromkeys(name for one, two in edges for name, column in (one, two) if column == at) for at in range(5)
    ]
    boxes = {
        (name, at): Box(name, at, "topic" if at in (1, 3) else "box")
        for at, column in enumerate(names)
        for name in column
    }
    tallest = max(len(column) for column in names)
    height = 40 + tallest * (HEIGHT + GAP)
    places = {
        (name, at): 34 + (height - 40 - len(column) * (HEIGHT + GAP)) / 2 + row * (HEIGHT + GAP)
        for at, column in enumerate(names)
        for row, name in enumerate(column)
    }
    shown = {alias: topic.name for alias, topic in topics.items()}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1050 {height:.0f}" role="img">',
        f"<style>{STYLE}</style>",
    ]
    for at, title in enumerate(("producers", "raw topics", "processors", "derived topics", "sinks")):
        parts.append(f'<text class="title" x="{COLUMNS[at]}" y="18">{title}</text>')
    parts += [_arrow(places, one, two) for one, two in dict.fromkeys(edges)]
    parts += [_box(box, places[key], shown) for key, box in boxes.items()]
    return "\n".join([*parts, "</svg>", ""])


def _edges() -> Iterator[Edge]:
    """Arrows between (name, column)."""
    topics = catalog.load().topics
    yield from (((topic.owner, 0), (alias, 1)) for alias, topic in topics.items() if alias.startswith("raw-"))
    # One step for each source of alerts, one box for all of them.
    first = [(each.name.split("-")[0], (each.input,), each.outputs) for each in mounted() if "raw-" in each.input]
    for name, inputs, outputs in [*first, *((each.name, each.inputs, each.outputs) for each in joined())]:
        processor = (f"processors.{name}", 2)
        yield from (((source, 1), processor) for source in inputs)
        yield from ((processor, (output, 3)) for output in outputs)
    for alias in datasets.aliases():
        if topics[alias].owner.startswith("processors."):
            yield from (((alias, 3), (f"sinks.{sink}", 4)) for sink in ("files", "influx"))
    yield ("alerts", 3), ("sinks.webhook", 4)


def _box(box: Box, y: float, shown: Mapping[str, str]) -> str:
    x, width = COLUMNS[box.column], WIDTHS[box.column]
    name = escape(shown.get(box.name, box.name) if box.kind == "topic" else box.name)
    return (
        f'<rect class="{box.kind}" x="{x}" y="{y:.0f}" width="{width}" height="{HEIGHT}" rx="4"/>'
        f'<text x="{x + 8}" y="{y + 15:.0f}">{name}</text>'
    )


def _arrow(places: Mapping[tuple[str, int], float], one: tuple[str, int], two: tuple[str, int]) -> str:
    x1, y1 = COLUMNS[one[1]] + WIDTHS[one[1]], places[one] + HEIGHT / 2
    x2, y2 = COLUMNS[two[1]], places[two] + HEIGHT / 2
    middle = (x1 + x2) / 2
    return f'<path class="arrow" d="M{x1} {y1:.0f}C{middle:.0f} {y1:.0f} {middle:.0f} {y2:.0f} {x2} {y2:.0f}"/>'
