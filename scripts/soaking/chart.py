"""Lines over minutes as SVG, by hand: a page shows them in its own light or dark colours."""

import dataclasses
import math
from html import escape

WIDTH, LEFT, RIGHT, PANEL, GAP, HEAD = 960, 56, 24, 150, 46, 80

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2937; }
.title { font-size: 18px; font-weight: 600; }
.panel { font-size: 14px; font-weight: 600; }
.quiet { fill: #6b7280; }
.axis { stroke: #d1d5db; }
.job { fill: #9ca3af; opacity: .25; }
.swap { stroke: #6b7280; }
polyline { fill: none; stroke-width: 1.5; }
.first-line { stroke: #0f766e; }
.second-line { stroke: #b45309; }
.first-label { fill: #0f766e; }
.second-label { fill: #b45309; }
@media (prefers-color-scheme: dark) {
  text { fill: #e5e7eb; }
  .quiet { fill: #9ca3af; }
  .axis { stroke: #4b5563; }
  .first-line { stroke: #2dd4bf; }
  .second-line { stroke: #f59e0b; }
  .first-label { fill: #2dd4bf; }
  .second-label { fill: #f59e0b; }
}
"""


@dataclasses.dataclass
class Line:
    label: str
    #: Minutes and values.
    points: list


@dataclasses.dataclass
class Panel:
    title: str
    #: One or two.
    lines: list


def nice(most):
    """A round number that is at least as large."""
    power = 10 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= most)


def svg(title, subtitle, panels, spans, ticks, minutes):
    """The panels below each other over the same minutes, each from zero, with what happened meanwhile."""
    x = lambda minute: LEFT + (WIDTH - LEFT - RIGHT) * min(minute / minutes, 1)
    height = HEAD + len(panels) * (PANEL + GAP)
    parts = [f'<text class="title" x="{LEFT}" y="32">{escape(title)}</text>', f'<text class="quiet" x="{LEFT}" y="54">{escape(subtitle)}</text>']
    for number, panel in enumerate(panels):
        top = HEAD + number * (PANEL + GAP) + 16
        bottom = top + PANEL - 16
        most = nice(max(value for line in panel.lines for _, value in line.points if not math.isnan(value)))
        y = lambda value: bottom - (bottom - top) * value / most
        parts.append(f'<text class="panel" x="{LEFT}" y="{top - 8}">{escape(panel.title)}</text>')
        parts += [f'<rect class="job" x="{x(begin):.1f}" y="{top}" width="{x(end) - x(begin):.1f}" height="{bottom - top}"/>' for begin, end in spans]
        for value in (0, most / 2, most):
            parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
            parts.append(f'<text class="quiet" text-anchor="end" x="{LEFT - 6}" y="{y(value) + 4:.1f}">{value:g}</text>')
        for line, colour in zip(panel.lines, ("first", "second")):
            points = " ".join(f"{x(minute):.1f},{y(value):.1f}" for minute, value in line.points if not math.isnan(value))
            parts.append(f'<polyline class="{colour}-line" points="{points}"/>')
            if len(panel.lines) > 1:
                parts.append(f'<text class="{colour}-label" text-anchor="end" x="{WIDTH - RIGHT - 40 * (colour == "first")}" y="{top - 8}">{escape(line.label)}</text>')
        parts += [f'<line class="swap" x1="{x(minute):.1f}" x2="{x(minute):.1f}" y1="{bottom + 1}" y2="{bottom + 6}"/>' for minute in ticks]
        for minute in range(0, minutes + 1, 10 if minutes > 20 else 1):
            parts.append(f'<text class="quiet" text-anchor="middle" x="{x(minute):.1f}" y="{bottom + 20}">{minute}</text>')
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
                      f"<style>{STYLE}</style>", *parts, "</svg>", ""])
