"""A fitted model as HTML: a table of tasks and a drawing of the network; and where the documentation is.

scikit-learn shows it among its own tables, on a light background in dark notebooks, too: colours are those of its style
sheet, with black on white to fall back on. Nothing has an id, so that many of these can stand on one page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from importlib.metadata import PackageNotFoundError, metadata

from sklearn_mmoe._common.names import short_names
from sklearn_mmoe._estimators.description import Description, best_epoch, counted, features, network, task_table

DRAWN_TASKS = 12
DRAWN_EXPERTS = 6
SHADOWS = 3  # sheets behind the network that stand for further members

# The drawing, in pixels: where each column begins, and how wide it is
FEATURES, EXPERTS, GATES, TOWERS, TASKS = (14, 80), (152, 92), (324, 16), (398, 72), (524, 0)
TOP, ROW, BOTTOM, LETTER = 64, 24, 40, 7.3

PAGE = """
<div class="estimator-table mmoe-shape">
  <style>
    .mmoe-shape p {{ margin: 0.3em 0.6em; font-size: 0.9em; }}
    .mmoe-shape td, .mmoe-shape th {{ padding: 0.1em 0.6em; }}
    .mmoe-shape td.number {{ text-align: right !important; }}
    .mmoe-shape svg {{ display: block; max-width: 100%; height: auto; font: 12px monospace; }}
    .mmoe-shape svg text {{ fill: var(--sklearn-color-text, black); }}
    .mmoe-shape svg .middle {{ text-anchor: middle; }}
    .mmoe-shape svg .muted {{ opacity: 0.65; font-size: 11px; }}
    .mmoe-shape svg rect, .mmoe-shape svg circle {{
      fill: var(--sklearn-color-fitted-level-2, #b3dbfd);
      stroke: var(--sklearn-color-fitted-level-3, cornflowerblue);
    }}
    .mmoe-shape svg .member {{ fill: var(--sklearn-color-fitted-level-0, white); }}
    .mmoe-shape svg path {{ fill: none; stroke: var(--sklearn-color-text, black); stroke-opacity: 0.35; }}
    .mmoe-shape svg .to-gates {{ stroke-dasharray: 3 3; }}
  </style>
  <details open>
    <summary>Tasks</summary>
    <table class="parameters-table">
      <tbody>
        <tr>{header}</tr>
        {rows}
      </tbody>
    </table>
  </details>
  <details open>
    <summary>Network</summary>
    <p>{size}</p>
    <p>{training}</p>
    {drawing}
  </details>
</div>
"""


def as_html(description: Description) -> str:
    """A table of tasks and a drawing of the network."""
    header, *rows = task_table(description)
    training = (
        f"{counted(description.n_epochs, 'epoch')} in {description.seconds:.3g} s on {description.device}, "
        f"weights of epoch {best_epoch(description)}"
    )
    size = f"{counted(description.n_parameters['total'], 'parameter')}, {description.flops:,} FLOPs per row"
    return PAGE.format(
        header="".join(f"<th>{cell}</th>" for cell in header),
        rows="\n".join(_table_row(cells) for cells in rows),
        size=size,
        training=escape(training),
        drawing=drawing(description),
    )


def _table_row(cells: Sequence[str]) -> str:
    classes = ("", "", "number", "number", "number", "", "number")
    columns = (f'<td class="{name}">{escape(cell)}</td>' for cell, name in zip(cells, classes, strict=True))
    return f'<tr class="default">{"".join(columns)}</tr>'


# --------------------------------------------------------------------------------------------------------------------
# The drawing


def drawing(description: Description) -> str:
    """The network as SVG: features, experts, gates, towers and tasks from left to right, a line for each task."""
    n_tasks, n_experts = len(description.tasks), _n_experts(description)
    n_lines = max(_n_drawn(n_tasks, DRAWN_TASKS), _n_drawn(n_experts, DRAWN_EXPERTS), 2)
    names = short_names([" ".join(task.name.split()) for task in description.tasks[:DRAWN_TASKS]])
    height = TOP + ROW * n_lines + BOTTOM
    width = round(TASKS[0] + LETTER * (max(map(len, names)) + len("  1,000 outputs")))
    parts = [
        *_members(description.n_members, height),
        *_headers(description),
        *_edges(description, n_lines),
        *_boxes(description, n_lines, names),
    ]
    label = escape(f"{features(description)}; {network(description)}; {counted(n_tasks, 'task')}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{label}">\n' + "\n".join(parts) + "\n</svg>"
    )


def _n_experts(description: Description) -> int:
    """Of a member and a level: shared ones, and those of each task."""
    return description.n_experts + len(description.tasks) * description.n_task_experts


def _n_drawn(n: int, most: int) -> int:
    """How many lines n things take: the last one says how many there are beyond."""
    return min(n, most + 1)


def _heights(n: int, most: int, n_lines: int) -> list[float]:
    """The middle of each line of a column, which stands in the middle of the drawing."""
    n_drawn = _n_drawn(n, most)
    start = TOP + ROW * (n_lines - n_drawn) / 2
    return [start + ROW * (i + 0.5) for i in range(n_drawn)]


def _members(n_members: int, height: int) -> Iterator[str]:
    """A sheet around experts, gates and towers, and sheets behind it for the other members."""
    if n_members == 1:
        return
    left, right = EXPERTS[0] - 22, sum(TOWERS) + 22
    for i in reversed(range(min(n_members, SHADOWS + 1))):
        shift = 5 * i
        yield (
            f'<rect class="member" x="{left + shift}" y="{20 - shift}" width="{right - left}" height="{height - 32}" '
            'rx="8"/>'
        )
    yield f'<text class="muted" x="{left + 12}" y="{height - 20}">one of {n_members} members</text>'


def _headers(description: Description) -> Iterator[str]:
    """Above each column: how many there are, and how large each is."""
    sizes = description.expert_layer_sizes, description.tower_layer_sizes
    experts, towers = (" → ".join(map(str, units)) for units in sizes)
    experts += f", {description.n_levels:,} levels" if description.n_levels > 1 else ""
    categorical = f"{description.n_categorical:,} categorical" if description.n_categorical else ""
    for (x, width), title, below in [
        (FEATURES, counted(description.n_features, "feature"), categorical),
        (EXPERTS, counted(_n_experts(description), "expert"), experts),
        (GATES, counted(description.n_gates, "gate"), "softmax"),
        (TOWERS, counted(len(description.tasks), "tower"), towers),
    ]:
        middle = x + width / 2
        yield f'<text class="middle" x="{middle:g}" y="38">{title}</text>'
        yield f'<text class="middle muted" x="{middle:g}" y="54">{below}</text>'
    n_outputs = sum(task.n_outputs for task in description.tasks)
    yield f'<text x="{TASKS[0]}" y="38">{counted(len(description.tasks), "task")}</text>'
    yield f'<text class="muted" x="{TASKS[0]}" y="54">{counted(n_outputs, "output")}</text>'


def _columns(description: Description, n_lines: int) -> tuple[list[float], list[float], list[float]]:
    """The heights of experts, gates and tasks."""
    experts = _heights(_n_experts(description), DRAWN_EXPERTS, n_lines)
    tasks = _heights(len(description.tasks), DRAWN_TASKS, n_lines)
    gates = tasks if description.n_gates == len(description.tasks) else [_middle(n_lines)]
    return experts, gates, tasks


def _middle(n_lines: int) -> float:
    return TOP + ROW * n_lines / 2


def _edges(description: Description, n_lines: int) -> Iterator[str]:
    """Features are read by experts and gates; gates mix experts for the towers, one of each task."""
    experts, gates, tasks = _columns(description, n_lines)
    gate_x = GATES[0] + GATES[1] / 2
    gates, tasks = gates[:DRAWN_TASKS], tasks[:DRAWN_TASKS]
    for k, expert in enumerate(experts):
        yield _curve(sum(FEATURES), _middle(n_lines), EXPERTS[0], expert)
        own = (k - description.n_experts) // max(1, description.n_task_experts)  # the task that has it for itself
        for gate in gates if k < description.n_experts else gates[own : own + 1]:
            yield _curve(sum(EXPERTS), expert, GATES[0], gate)
    for t, task in enumerate(tasks):
        gate = gates[t] if len(gates) == len(tasks) else gates[0]
        yield _curve(sum(GATES), gate, TOWERS[0], task)
        yield _curve(sum(TOWERS), task, TASKS[0] - 6, task)
    x, start, floor = sum(FEATURES) - 12, _middle(n_lines) + ROW, TOP + ROW * n_lines + 6
    yield f'<path class="to-gates" d="M{x} {start:g} V{floor} H{gate_x:g} V{min(gates):g}"/>'


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = (x1 + x2) / 2
    return f'<path d="M{x1:g} {y1:g} C{bend:g} {y1:g} {bend:g} {y2:g} {x2:g} {y2:g}"/>'


def _boxes(description: Description, n_lines: int, names: Sequence[str]) -> Iterator[str]:
    experts, gates, tasks = _columns(description, n_lines)
    yield _box(FEATURES, _middle(n_lines), 2 * ROW)
    for line, y in enumerate(experts):
        n_left = _n_experts(description) - line
        yield _beyond(EXPERTS, y, n_left) if line == DRAWN_EXPERTS else _box(EXPERTS, y, ROW - 8)
    for y in gates[:DRAWN_TASKS]:
        yield f'<circle cx="{GATES[0] + GATES[1] / 2:g}" cy="{y:g}" r="{GATES[1] / 2:g}"/>'
    for line, y in enumerate(tasks):
        if line == DRAWN_TASKS:
            yield f'<text x="{TASKS[0]}" y="{y + 4:g}">… {len(description.tasks) - line:,} more</text>'
            continue
        task = description.tasks[line]
        yield _box(TOWERS, y, ROW - 8)
        yield (
            f'<text x="{TASKS[0]}" y="{y + 4:g}">{escape(names[line])}'
            f'<tspan class="muted">  {counted(task.n_outputs, "output")}</tspan>'
            f"<title>{escape(task.name)}</title></text>"
        )


def _box(column: tuple[int, int], y: float, height: float) -> str:
    x, width = column
    return f'<rect x="{x}" y="{y - height / 2:g}" width="{width}" height="{height:g}" rx="4"/>'


def _beyond(column: tuple[int, int], y: float, n: int) -> str:
    x, width = column
    return f'<text class="middle" x="{x + width / 2:g}" y="{y + 4:g}">… {n:,} more</text>'


# --------------------------------------------------------------------------------------------------------------------
# Links


@cache
def documentation_page() -> str:
    """Template of the address of an estimator's page, "" where the installed package names no documentation."""
    try:
        urls = metadata("sklearn_mmoe").get_all("Project-URL") or []
    except PackageNotFoundError:  # run from its sources
        return ""
    base = dict(url.split(", ", 1) for url in urls).get("Documentation")
    return f"{base}/api/{{estimator_module}}.{{estimator_name}}.html" if base else ""


class HasPage:
    """An estimator to which scikit-learn's diagrams link: it has a page on our site."""

    _doc_link_module = "sklearn_mmoe"

    @property
    def _doc_link_template(self) -> str:
        return documentation_page()
