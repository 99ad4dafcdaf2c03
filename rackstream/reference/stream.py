"""Diagram of the stream: which process writes and reads which topic. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from processors.registry import JOINS, STEPS
from schemas import catalog
from sinks.registry import SINKS

COLUMNS: Final = (10, 190, 470, 650, 930)
"""Left edges of producers, raw topics, processors, derived topics, sinks."""
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
    """A process or topic in a column."""

    name: str
    column: int
    kind: str = "box"


def svg() -> str:
    """Returns the diagram."""
    topics = catalog.load().topics
    edges = list(_edges())
    names = [
        dict.fromkeys(name for start, end in edges for name, column in (start, end) if column == at) for at in range(5)
    ]
    boxes = {
        (name, at): Box(name, at, "topic" if at in (1, 3) else "box")
        for at, column in enumerate(names)
        for name in column
    }
    tallest = max(len(column) for column in names)
    height = 40 + tallest * (HEIGHT + GAP)
    tops = {
        (name, at): 34 + (height - 40 - len(column) * (HEIGHT + GAP)) / 2 + row * (HEIGHT + GAP)
        for at, column in enumerate(names)
        for row, name in enumerate(column)
    }
    topic_names = {alias: topic.name for alias, topic in topics.items()}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1050 {height:.0f}" role="img">',
        f"<style>{STYLE}</style>",
    ]
    for at, title in enumerate(("producers", "raw topics", "processors", "derived topics", "sinks")):
        parts.append(f'<text class="title" x="{COLUMNS[at]}" y="18">{title}</text>')
    parts += [_arrow(tops, start, end) for start, end in dict.fromkeys(edges)]
    parts += [_box(box, tops[key], topic_names) for key, box in boxes.items()]
    return "\n".join([*parts, "</svg>", ""])


def _edges() -> Iterator[Edge]:
    """Yields arrows between (name, column)."""
    topics = catalog.load().topics
    yield from (((topic.owner, 0), (alias, 1)) for alias, topic in topics.items() if alias.startswith("raw-"))
    # One step for each source of alerts, one box for all of them.
    first = [(step.name.split("-")[0], (step.input,), step.outputs) for step in STEPS if "raw-" in step.input]
    for name, inputs, outputs in [*first, *((join.name, join.inputs, join.outputs) for join in JOINS)]:
        processor = (f"processors.{name}", 2)
        yield from (((source, 1), processor) for source in inputs)
        yield from ((processor, (output, 3)) for output in outputs)
    derived = {alias for step in STEPS for alias in step.outputs} | {alias for join in JOINS for alias in join.outputs}
    derived |= {step.memory for step in STEPS if isinstance(step.memory, str)}
    for spec in SINKS.values():
        yield from (((alias, 3), (f"sinks.{spec.kind}", 4)) for alias in spec.topics() if alias in derived)


def _box(box: Box, y: float, topic_names: Mapping[str, str]) -> str:
    x, width = COLUMNS[box.column], WIDTHS[box.column]
    name = escape(topic_names.get(box.name, box.name) if box.kind == "topic" else box.name)
    return (
        f'<rect class="{box.kind}" x="{x}" y="{y:.0f}" width="{width}" height="{HEIGHT}" rx="4"/>'
        f'<text x="{x + 8}" y="{y + 15:.0f}">{name}</text>'
    )


def _arrow(tops: Mapping[tuple[str, int], float], start: tuple[str, int], end: tuple[str, int]) -> str:
    x1, y1 = COLUMNS[start[1]] + WIDTHS[start[1]], tops[start] + HEIGHT / 2
    x2, y2 = COLUMNS[end[1]], tops[end] + HEIGHT / 2
    middle = (x1 + x2) / 2
    return f'<path class="arrow" d="M{x1} {y1:.0f}C{middle:.0f} {y1:.0f} {middle:.0f} {y2:.0f} {x2} {y2:.0f}"/>'
