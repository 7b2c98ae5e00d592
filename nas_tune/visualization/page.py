"""The pieces of a self-contained HTML page: everything a caller passes as text is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

_STYLE = """
:root { color-scheme: light dark;
  --page: #ffffff; --card: #f6f7f9; --ink: #1b1e23; --soft: #5b616b; --line: #d9dce1 }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171b; --card: #1c2026; --ink: #e7e9ec; --soft: #a3a9b3; --line: #343a43 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif }
main { max-width: 1120px; margin: 0 auto; padding: 24px 16px 48px }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 36px 0 10px }
p { margin: 6px 0; max-width: 75ch; overflow-wrap: anywhere }
.soft { color: var(--soft) }
.scroll, .figure, .drawing, pre { border: 1px solid var(--line); border-radius: 8px; background: var(--card) }
.scroll, .drawing, pre { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100% }
th, td { padding: 6px 12px; text-align: left; vertical-align: top; border-top: 1px solid var(--line) }
tr:first-child > * { border-top: 0 }
tbody tr:first-child > td { border-top: 1px solid var(--line) }
.facts tr:first-child > * { border-top: 0 }
.data th, .data td { white-space: nowrap }
thead th, .facts th { color: var(--soft); font-weight: 600 }
.facts th { width: 12.5em }
.facts td { overflow-wrap: anywhere }
th.number, td.number { text-align: right }
.figure { height: 380px; margin-bottom: 12px; overflow: hidden }
.canvas-frame { margin-top: 16px; padding: 8px }
.figure.canvas { border: 0; margin: 0 auto; overflow: visible }
.drawing { padding: 16px; text-align: center }
pre { padding: 12px; margin: 6px 0; font-size: 13px }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 16px 24px;
  align-items: start }
.pair > * { min-width: 0 }
@media (max-width: 520px) {
  .facts th { width: 8em } th, td { padding: 6px 8px } .figure { height: 340px }
}
@media print { .figure, .drawing, .scroll, pre { break-inside: avoid } }
"""

_SCRIPT = """
const dark = matchMedia('(prefers-color-scheme: dark)');
const boxes = [...document.querySelectorAll('.figure')];
const clear = 'rgba(0,0,0,0)';
function theme() {
  const style = getComputedStyle(document.documentElement), read = name => style.getPropertyValue(name).trim();
  const change = {
    'font.color': read('--ink'), 'font.family': getComputedStyle(document.body).fontFamily,
    'paper_bgcolor': clear, 'plot_bgcolor': clear, 'hoverlabel.bgcolor': read('--page'),
    'hoverlabel.bordercolor': read('--soft'), 'hoverlabel.font.color': read('--ink'),
    'modebar.bgcolor': clear, 'modebar.color': read('--soft'), 'modebar.activecolor': read('--ink')
  };
  for (const axis of ['xaxis', 'yaxis'])
    Object.assign(change, { [axis + '.gridcolor']: read('--line'), [axis + '.linecolor']: read('--soft') });
  return change;
}
const options = { responsive: true, displaylogo: false, showSendToCloud: false,
  modeBarButtonsToRemove: ['lasso2d', 'select2d'], displayModeBar: innerWidth > 600 ? 'hover' : false };
const still = { ...options, responsive: false, displayModeBar: true };
for (const box of boxes) {
  const figure = JSON.parse(box.nextElementSibling.textContent), canvas = box.classList.contains('canvas');
  if (canvas && matchMedia('(pointer: coarse)').matches) figure.layout.dragmode = false;
  Plotly.newPlot(box, figure.data, figure.layout, canvas ? still : options).then(() => Plotly.relayout(box, theme()));
}
dark.addEventListener('change', () => boxes.forEach(box => Plotly.relayout(box, theme())));
"""


def page(title: str, parts: Iterable[str], script: str) -> str:
    """Assemble the document.

    Args:
        title: Text of the heading and the browser tab.
        parts: HTML of the sections.
        script: The source of plotly.js, which is embedded; empty where the page has no figure.

    Returns:
        A document that asks the network for nothing and is forbidden to.
    """
    name = html.escape(title)
    scripts = f"<script>{script}</script>\n<script>{_SCRIPT}</script>\n" if script else ""
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{name}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{name}</h1>\n"
        + "\n".join(parts)
        + f"\n</main>\n{scripts}</body>\n</html>\n"
    )


def section(heading: str, *parts: str) -> str:
    """A part of the page under a heading."""
    return f"<section>\n<h2>{html.escape(heading)}</h2>\n" + "\n".join(parts) + "\n</section>"


def paragraph(text: str, soft: bool = False) -> str:
    """A paragraph of plain text."""
    return f"<p{' class=soft' if soft else ''}>{html.escape(text)}</p>"


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A table of names and values."""
    body = "".join(
        f"<tr><th scope='row'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in rows
    )
    return f"<div class='scroll'><table class='facts'>{body}</table></div>"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[str] = ()) -> str:
    """A table that scrolls inside itself; the columns named in `numeric` are set to the right."""
    kinds = [" class='number'" if name in set(numeric) else "" for name in columns]
    head = "".join(f"<th scope='col'{kind}>{html.escape(name)}</th>" for name, kind in zip(columns, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{html.escape(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    inside = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f"<div class='scroll' tabindex='0'><table class='data'>{inside}</table></div>"


def figure(name: str, content: Figure) -> str:
    """A plotly figure; `name` is what a screen reader says."""
    data = str(content.to_json()).replace("</", "<\\/").replace("<!--", "<\\u0021--")
    label = html.escape(name, quote=True)
    return f"<div class='figure' role='img' aria-label='{label}'></div><script type='application/json'>{data}</script>"


def canvas(name: str, content: Figure) -> str:
    """A plotly figure of a width and height of its own, in pixels; it scrolls where the page is narrower."""
    wide, high = round(content.layout.width), round(content.layout.height)
    inside = figure(name, content).replace(
        "class='figure'", f"class='figure canvas' style='width:{wide}px;height:{high}px'", 1
    )
    return f"<div class='scroll canvas-frame' tabindex='0'>{inside}</div>"


def code(text: str) -> str:
    """Text to be copied."""
    return f"<pre tabindex='0'><code>{html.escape(text)}</code></pre>"


def drawing(svg: str) -> str:
    """A drawing given as an `<svg>` element."""
    return f"<div class='drawing'>{svg}</div>"
