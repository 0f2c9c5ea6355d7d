"""Charts as SVG, written by hand: what the plots of benchmarks need, in the light and in the dark.

A chart has a title, a description for those who cannot see it, axes and marks. All numbers are rounded, so
the same figures always give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH = 760
LEFT, RIGHT, TOP = 190, WIDTH - 36, 64

LIGHT = ("#0b5cad", "#b35900", "#1a7f37", "#8250df", "#a40e5e", "#6e7781")
DARK = ("#6cb6ff", "#f0a04b", "#57d18b", "#d2a8ff", "#ff8fc4", "#9198a1")
"""Colors of marks, by number; the last is for what stands beside."""


def _rules(back: str, ink: str, soft: str, grid: str, colors: Sequence[str]) -> str:
    """Style rules that set colors. No variables: not all programs that show SVG know them."""
    rules = [f".back {{ fill: {back} }} text {{ fill: {ink} }} .soft {{ fill: {soft} }}"]
    rules += [f".grid {{ stroke: {grid} }} .axis {{ stroke: {soft} }}"]
    rules += [f".fill{n} {{ fill: {c} }} .line{n} {{ stroke: {c} }}" for n, c in enumerate(colors)]
    return "\n".join(rules)


STYLE = f"""
text {{ font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Arial, sans-serif }}
.head {{ font-size: 16px; font-weight: 600 }} .soft {{ font-size: 12px }}
.line {{ fill: none; stroke-width: 2.5 }} .dashed {{ stroke-dasharray: 6 5 }}
{_rules("#ffffff", "#1f2328", "#59636e", "#d8dee4", LIGHT)}
@media (prefers-color-scheme: dark) {{
{_rules("#0d1117", "#e6edf3", "#9198a1", "#30363d", DARK)}
}}
"""


class Chart:
    """A drawing with a plot area in it.

    Args:
        title: Its heading, and its name for those who cannot see it.
        description: What there is to see, in a sentence.
        height: Of the plot area.
        notes: Lines below it.
        left, right: Where the plot area begins and ends.
    """

    def __init__(
        self,
        title: str,
        description: str,
        height: int,
        notes: Sequence[str],
        left: int = LEFT,
        right: int = RIGHT,
    ) -> None:
        self.left, self.right, self.top, self.bottom = left, right, TOP, TOP + height
        self._title, self._description = title, description
        self._height = self.bottom + 54 + 17 * len(notes)
        self._marks: list[str] = []
        self.text(16, 28, title, "head")
        for number, note in enumerate(notes):
            self.text(16, self.bottom + 58 + 17 * number, note, "soft")

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        """Words; `anchor` says whether they start, have their middle or end at x."""
        self._marks.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight line."""
        self._marks.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>')

    def bar(self, y: float, height: float, end: float, color: int) -> None:
        """A bar from the left edge of the plot area to `end`."""
        self._marks.append(
            f'<rect x="{self.left:.1f}" y="{y:.1f}" width="{max(0.0, end - self.left):.1f}" '
            f'height="{height:.1f}" rx="2" class="fill{color}"/>'
        )

    def curve(self, points: Sequence[tuple[float, float]], color: int, *, dashed: bool = False) -> None:
        """A line through points; each is marked, if the line is not dashed."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._marks.append(
            f'<polyline points="{path}" class="line line{color}{" dashed" if dashed else ""}"/>'
        )
        for x, y in () if dashed else points:
            self._marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="fill{color}"/>')

    def ticks_below(self, ticks: Mapping[str, float], label: str) -> None:
        """The axis below: ticks by their texts, with grid lines; and what it shows."""
        for text, x in ticks.items():
            self.line(x, self.top, x, self.bottom, "grid")
            self.text(x, self.bottom + 18, text, "soft", "middle")
        self.text((self.left + self.right) / 2, self.bottom + 37, label, "soft", "middle")
        self.line(self.left, self.bottom, self.right, self.bottom, "axis")

    def ticks_left(self, ticks: Mapping[str, float], label: str) -> None:
        """The axis on the left; what it shows stands above it."""
        for text, y in ticks.items():
            self.line(self.left, y, self.right, y, "grid")
            self.text(self.left - 8, y + 4, text, "soft", "end")
        self.text(16, self.top - 16, label, "soft")

    def legend(self, x: float, y: float, entries: Mapping[str, str]) -> None:
        """What the kinds of lines mean, one below the other."""
        for number, (text, kind) in enumerate(entries.items()):
            at = y + 20 * number
            self.line(x, at, x + 22, at, f"line {kind}")
            self.text(x + 30, at + 4, text)

    def render(self) -> str:
        """The whole file."""
        size = f'width="{WIDTH}" height="{self._height}" viewBox="0 0 {WIDTH} {self._height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title desc">'
        told = f'<title id="title">{escape(self._title)}</title>\n'
        told += f'<desc id="desc">{escape(self._description)}</desc>'
        back = '<rect class="back" width="100%" height="100%"/>'
        return "\n".join((head, told, f"<style>{STYLE}</style>", back, *self._marks, "</svg>")) + "\n"
