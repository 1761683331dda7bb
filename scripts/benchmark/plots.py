"""Bar charts as SVG, by hand: a page shows them in its own light or dark colours, and a change of a figure is a change of a line."""

import dataclasses
from html import escape

WIDTH, MARGIN, GAP = 960, 24, 36
PANEL_WIDTH = (WIDTH - 2 * MARGIN - GAP) // 2
LABEL_WIDTH, VALUE_WIDTH = 140, 92
BAR, STEP = 18, 27
HEAD, PANEL_HEAD = 76, 30

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2937; }
.title { font-size: 18px; font-weight: 600; }
.panel { font-size: 14px; font-weight: 600; }
.quiet { fill: #6b7280; }
.number { font-variant-numeric: tabular-nums; }
.axis { stroke: #d1d5db; }
.mark { stroke: #1f2937; stroke-width: 2; }
.light { opacity: .35; }
.tagpoint-int8 { fill: #0f766e; }
.tagpoint-fp32 { fill: #2dd4bf; }
.fastapi { fill: #64748b; }
.fastapi-draft { fill: #94a3b8; }
.litserve { fill: #b59ae6; }
@media (prefers-color-scheme: dark) {
  text { fill: #e5e7eb; }
  .quiet { fill: #9ca3af; }
  .axis { stroke: #4b5563; }
  .mark { stroke: #e5e7eb; }
  .tagpoint-int8 { fill: #14b8a6; }
  .tagpoint-fp32 { fill: #5eead4; }
}
"""


@dataclasses.dataclass
class Bar:
    label: str
    #: Its class in the style.
    colour: str
    value: float
    value_text: str
    #: How far a lighter bar goes on behind it, or None.
    end: float | None = None
    end_text: str = ""
    #: Where a line stands across it, or None.
    mark: float | None = None


@dataclasses.dataclass
class Panel:
    title: str
    bars: list


def svg(title, subtitle, panels):
    """The chart: two panels beside each other, each with a scale of its own."""
    parts, y = [], HEAD
    for left, right in zip(panels[::2], [*panels[1::2], None]):
        row = [panel for panel in (left, right) if panel]
        for column, panel in enumerate(row):
            parts += draw_panel(panel, MARGIN + column * (PANEL_WIDTH + GAP), y)
        y += PANEL_HEAD + STEP * max(len(panel.bars) for panel in row) + GAP // 2
    head = [f'<text class="title" x="{MARGIN}" y="34">{escape(title)}</text>',
            f'<text class="quiet" x="{MARGIN}" y="56">{escape(subtitle)}</text>']
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" aria-label="{escape(title)}">',
                      f"<style>{STYLE}</style>", *head, *parts, "</svg>", ""])


def draw_panel(panel, x, y):
    most = max(max(bar.value, bar.end or 0, bar.mark or 0) for bar in panel.bars) or 1
    room = PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH
    start = x + LABEL_WIDTH
    parts = [f'<text class="panel" x="{x}" y="{y + 14}">{escape(panel.title)}</text>']
    y += PANEL_HEAD
    for place, bar in enumerate(panel.bars):
        top = y + place * STEP
        middle = top + BAR - 4.5
        width = room * bar.value / most
        reach = max(width, room * (bar.end or 0) / most, room * (bar.mark or 0) / most)
        parts.append(f'<text x="{start - 8}" y="{middle}" text-anchor="end">{escape(bar.label)}</text>')
        if bar.end is not None:
            parts.append(rectangle(f"{bar.colour} light", start, top, room * bar.end / most))
        parts.append(rectangle(bar.colour, start, top, width))
        if bar.mark is not None:
            at = start + room * bar.mark / most
            parts.append(f'<line class="mark" x1="{at:.1f}" y1="{top - 3}" x2="{at:.1f}" y2="{top + BAR + 3}"/>')
        value = bar.value_text if bar.end is None else f"{bar.value_text} – {bar.end_text}"
        parts.append(f'<text class="number" x="{start + reach + 7:.1f}" y="{middle}">{escape(value)}</text>')
    bottom = y + STEP * len(panel.bars) - STEP + BAR
    parts.append(f'<line class="axis" x1="{start}" y1="{y - 4}" x2="{start}" y2="{bottom + 4}"/>')
    return parts


def rectangle(colour, x, y, width):
    return f'<rect class="{colour}" x="{x}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>'
