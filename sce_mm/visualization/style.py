"""The style of all pages: colours for light and dark screens, and layout.

Colours are variables, so a page is dark where the reader's system is, and
drawings follow. Text has a contrast of 4.5 to its ground at least, lines and
markers of 3, in both.
"""

# Colours of the series of a plot, on a light and on a dark ground.
SERIES = (
    ('#3d4650', '#c6ced6'),
    ('#0b6bcb', '#6cb2ff'),
    ('#b35900', '#f2a45c'),
    ('#0a7a55', '#4fc795'),
    ('#7b3fa0', '#c79af0'),
    ('#a61e4d', '#fa86ae'),
    ('#6b6400', '#d6cb52'),
    ('#111111', '#ffffff'),
)


def _series(dark: bool) -> str:
    return ' '.join(
        f'--series-{number}: {colours[dark]};'
        for number, colours in enumerate(SERIES)
    )


_COLOURS = f"""
:root {{ color-scheme: light; --ink: #1c2127; --soft: #5b6570;
  --line: #e1e5ea; --rule: #767f89; --accent: #0b6bcb; --ground: #f6f7f9;
  --card: #fff; --right: #0b6bcb; --wrong: #b35900; {_series(False)} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{
  color-scheme: dark; --ink: #e6eaee; --soft: #a5afb9; --line: #363e47;
  --rule: #8b959f; --accent: #6cb2ff; --ground: #14181d; --card: #1e242b;
  --right: #6cb2ff; --wrong: #f2a45c; {_series(True)} }} }}
"""

_LAYOUT = """
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--ground);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: break-word; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 28px 80px; }
h1 { font-size: 28px; font-weight: 650; line-height: 1.3; margin: 0 0 12px;
  max-width: 36em; text-wrap: pretty; }
h2 { font-size: 22px; font-weight: 600; margin: 44px 0 8px; }
h3 { font-size: 16px; font-weight: 600; margin: 0 0 8px; }
p { margin: 6px 0 12px; max-width: 74ch; }
.soft, figcaption { color: var(--soft); font-size: 14px; }
.panel { background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; padding: 16px 18px; margin: 12px 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric:
  tabular-nums; }
th, td { text-align: right; padding: 7px 10px;
  border-bottom: 1px solid var(--line); }
td { white-space: nowrap; } thead th { vertical-align: bottom; }
thead th { color: var(--soft); font-weight: 600; font-size: 14px; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
tbody th { font-weight: 400; min-width: 9em; }
tbody tr:last-child > * { border-bottom: 0; }
figure { margin: 0; } figure img { width: 100%; height: auto; }
figcaption { margin-top: 4px; }
.plot { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: center; }
.plot > svg { flex: 3 1 380px; min-width: 0; max-width: 720px; height: auto;
  overflow: visible; stroke-linejoin: round; }
.plot text { font-family: inherit !important; fill: currentColor; }
.legend small { display: block; color: var(--soft); font-size: 14px; }
ul.legend, ul.dots { list-style: none; margin: 0; padding: 0;
  max-width: none; line-height: 1.3; }
ul.legend { flex: 1 1 200px; font-size: 15px; }
.legend li { display: flex; align-items: center; gap: 8px; margin: 6px 0; }
.legend svg { flex: none; width: 48px; height: auto; }
.dots li { display: grid; margin: 0; align-items: center; gap: 0 16px;
  grid-template-columns: minmax(0, 17em) 7em minmax(0, 1fr); }
.dots .value { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.dots li > svg { display: block; width: 100%; height: 32px; overflow: visible;
  stroke-width: 1.5px; }
.dots .grid { stroke: var(--line); stroke-width: 1px; }
.dots .axis { grid-column: 3; position: relative; height: 44px;
  border-top: 1px solid var(--rule); color: var(--soft); font-size: 14px;
  text-align: center; padding-top: 22px; }
.dots .axis span { position: absolute; top: 2px;
  transform: translateX(-50%); }
.two { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(min(400px, 100%), 1fr)); }
.tiles { display: flex; flex-wrap: wrap; gap: 8px; margin: 0 0 14px; }
.tiles figure { width: min(var(--side),
  calc((100% + 8px) / var(--across) - 8px)); }
.sharp img { image-rendering: pixelated; }
.tiles figcaption { color: var(--ink); font-size: 13px; line-height: 1.3;
  margin: 2px 3px 0; }
.image { position: relative; border: 3px solid transparent; }
.image img { display: block; outline: 1px solid var(--line);
  outline-offset: -1px; }
.yes .image { border-color: var(--right); }
.no .image { border: 3px dashed var(--wrong); }
.boxes { position: absolute; inset: 0; width: 100%; height: 100%;
  fill: none; stroke-linecap: round; overflow: visible; }
.boxes rect { vector-effect: non-scaling-stroke; stroke: #fff;
  stroke-width: 4px; }
.boxes .line { stroke: #0b6bcb; stroke-width: 2px; }
.boxes .wrong { stroke: #b35900; stroke-dasharray: 7 5; }
.boxes .missed { stroke: #000; stroke-dasharray: 0 5; stroke-width: 3px; }
.tag { position: absolute; padding: 0 3px; color: #fff; background: #000b;
  font: 600 12px/1.25 system-ui, sans-serif; white-space: nowrap; }
.key { display: inline-block; margin-right: 16px; }
.key span { display: inline-block; width: 22px; height: 14px;
  border: 1px solid var(--rule); vertical-align: -2px; }
details > summary { cursor: pointer; font-weight: 600; }
.kicker { color: var(--soft); font-size: 14px; margin: 0 0 6px; }
ol, ul { padding-left: 22px; max-width: 78ch; }
li { margin: 6px 0; }
code, pre { font: 14px/1.5 ui-monospace, "SF Mono", Consolas, monospace; }
code { white-space: pre-wrap; background: var(--line); border-radius: 4px;
  padding: 1px 4px; -webkit-box-decoration-break: clone;
  box-decoration-break: clone; }
code span { display: inline-block; max-width: 100%;
  overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
@media screen and (max-width: 760px) {
  main { padding: 20px 12px 40px; } h1 { font-size: 22px; }
  h2 { margin-top: 32px; } .panel { padding: 12px; }
  .plot > svg { flex-basis: 100%; }
  .dots li { grid-template-columns: minmax(0, 1fr) auto; }
  .dots li > svg, .dots .axis { grid-column: 1 / -1; }
  .dots li > svg { height: 24px; margin-bottom: 6px; }
  .tiles figure { width: min(var(--side),
    calc((100% + 8px) / var(--columns) - 8px)); }
  .scroll tbody th { position: sticky; left: -12px; padding-left: 12px;
    background: var(--card); min-width: 7.5em; }
  .tag { font-size: 11px; padding: 0 2px; } }
@media screen and (max-width: 480px) {
  .plot text { font-size: 12px !important; } }
@media print { body { background: none; font-size: 11pt; }
  main { max-width: none; padding: 0; } h1 { font-size: 17pt; }
  h2, h3 { break-after: avoid; }
  .panel { padding: 8px; } .scroll { overflow: visible; }
  details::details-content { content-visibility: visible; }
  table { font-size: 9pt; } th, td { padding: 4px 5px; }
  thead th { font-size: 8pt; }
  figure, .tiles, tr, .dots { break-inside: avoid; }
  .tag { color: #000; background: #fff; border: 1px solid #000; } }
"""

STYLE = _COLOURS + _LAYOUT
