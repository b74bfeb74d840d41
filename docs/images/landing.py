"""Draw the pictures of the landing page: a network fitted to flights, and what each task takes of each expert for one.

One lies, for windows wide enough to read it; the other stands, for phones.

Run it from the root of the repository: ``python docs/images/landing.py``.
"""

from pathlib import Path

from sklearn_mmoe import MMoEMultiTask, make_tabular_pipeline
from sklearn_mmoe.datasets import load_flights

TASKS = {
    "cancelled": ("binary", "cancelled?"),
    "late": ("binary", "late?"),
    "arr_delay": ("regression", "minutes late"),
    "air_time": ("regression", "minutes in the air"),
}
COLOURS = ["#1f6f8b", "#e07a3f", "#5a9367", "#8d6a9f"]
INK, PAPER, GREY = "#22313a", "#fbfaf7", "#9aa5ab"
TOP, STEP = 70, 76  # of the rows of experts and tasks
MIDDLE = TOP + 1.5 * STEP + 25


def main() -> None:
    X, y = load_flights(return_X_y=True, n_rows=40_000)
    kinds = {name: kind for name, (kind, _) in TASKS.items()}
    model = make_tabular_pipeline(
        MMoEMultiTask(tasks=kinds, n_members=1, n_experts=4, random_state=0)
    ).fit(X, y)
    flight = X.iloc[[20_000]]
    features, network = model[:-1].transform(flight), model[-1]
    gates = network.gate_weights(features)[0]
    chances, numbers = network.predict_proba(features), network.predict_frame(features)
    answers = [
        f"{chances[name][0, 1]:.0%}" if kind == "binary" else f"{numbers[name].iloc[0]:.0f}"
        for name, kind in kinds.items()
    ]
    folder = Path(__file__).parent
    (folder / "landing.svg").write_text(lying(gates, answers))
    (folder / "landing_upright.svg").write_text(upright(gates, answers))


def lying(gates, answers) -> str:
    parts = [
        *paper(960, 400),
        *heading(80, 40, "features"),
        *heading(290, 40, "experts, shared"),
        *heading(560, 40, "gates: what each task takes"),
        *heading(830, 40, "towers and tasks"),
        *table(40, MIDDLE - 61.5),
    ]
    for k in range(4):
        parts += strand(132, MIDDLE, 235, TOP + k * STEP + 25, 2.5, GREY, 0.55)
        for t in range(4):
            parts += strand(
                345,
                TOP + k * STEP + 25,
                470,
                TOP + t * STEP + 25,
                14 * gates[t, k],
                COLOURS[k],
                0.5,
            )
    for k, colour in enumerate(COLOURS):
        parts += box(235, TOP + k * STEP, 110, 50, colour, f"expert {k + 1}", "white")
    for t, ((_, question), answer) in enumerate(zip(TASKS.values(), answers, strict=True)):
        y = TOP + t * STEP
        parts += mixture(470, y + 8, 180, 34, gates[t])
        parts += strand(650, y + 25, 695, y + 25, 2.5, GREY, 1)
        parts += box(695, y + 7, 66, 36, "#e4e7e6", "tower", INK)
        parts += [
            f'<text x="780" y="{y + 20}">{question}</text>',
            f'<text x="780" y="{y + 41}" font-weight="600" font-size="18">{answer}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


def upright(gates, answers) -> str:
    centres = [53 + 98 * k for k in range(4)]  # of the columns of experts and tasks
    parts = [
        *paper(400, 640),
        *heading(200, 32, "features"),
        *table(156, 46),
        *heading(330, 162, "experts, shared"),
        *heading(200, 516, "gates: what each task takes"),
    ]
    for k, x in enumerate(centres):
        parts += strand(200, 174, x, 216, 2.5, GREY, 0.55, upright=True)
        for t, below in enumerate(centres):
            parts += strand(x, 262, below, 340, 14 * gates[t, k], COLOURS[k], 0.5, upright=True)
    for k, (x, colour) in enumerate(zip(centres, COLOURS, strict=True)):
        parts += box(x - 41, 216, 82, 46, colour, f"expert {k + 1}", "white")
    for t, (x, (_, question), answer) in enumerate(
        zip(centres, TASKS.values(), answers, strict=True)
    ):
        parts += mixture(x - 30, 340, 60, 160, gates[t], upright=True)
        parts += box(x - 33, 530, 66, 32, "#e4e7e6", "tower", INK)
        parts += written(x, 582, question, 12, 400)
        parts += written(x, 625, answer, 18, 600)
    return "\n".join([*parts, "</svg>\n"])


def paper(width: int, height: int) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="system-ui, sans-serif" font-size="15" fill="{INK}" role="img" '
        'aria-label="One table of features, four shared experts, for each task a mixture of them '
        'and a tower of its own.">',
        f'<rect width="{width}" height="{height}" rx="14" fill="{PAPER}"/>',
    ]


def written(x: float, y: float, text: str, size: int, weight: int) -> list[str]:
    """Words in the middle of a column, of which two at most stand on a line."""
    words = text.split()
    lines = [" ".join(words[i : i + 2]) for i in range(0, len(words), 2)]
    return [
        f'<text x="{x}" y="{y + 15 * i}" text-anchor="middle" font-size="{size}" '
        f'font-weight="{weight}">{line}</text>'
        for i, line in enumerate(lines)
    ]


def heading(x: int, y: int, text: str) -> list[str]:
    return [
        f'<text x="{x}" y="{y}" text-anchor="middle" font-size="14" fill="#5b6870">{text}</text>'
    ]


def table(x: float, y: float) -> list[str]:
    """A table of features with a row picked out."""
    cells = [(row, column) for row in range(7) for column in range(5)]
    return [
        f'<rect x="{x + 18 * column}" y="{y + 18 * row}" width="15" height="15" rx="3" '
        f'fill="{INK if row == 3 else "#c9d1d3"}"/>'
        for row, column in cells
    ]


def box(
    x: float, y: float, width: float, height: float, fill: str, text: str, ink: str
) -> list[str]:
    return [
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="9" fill="{fill}"/>',
        f'<text x="{x + width / 2}" y="{y + height / 2 + 5}" text-anchor="middle" fill="{ink}">{text}</text>',
    ]


def strand(x0, y0, x1, y1, width, colour: str, opacity: float, upright=False) -> list[str]:
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    bends = f"{x0},{y} {x1},{y}" if upright else f"{x},{y0} {x},{y1}"
    return [
        f'<path d="M{x0},{y0} C{bends} {x1},{y1}" fill="none" stroke="{colour}" '
        f'stroke-width="{width:.1f}" stroke-opacity="{opacity}"/>'
    ]


def mixture(x: float, y: float, width: float, height: float, shares, upright=False) -> list[str]:
    """A bar of the colours of the experts, as long as their shares."""
    parts = []
    for share, colour in zip(shares, COLOURS, strict=True):
        own = (width, height * share) if upright else (width * share, height)
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{own[0]:.1f}" height="{own[1]:.1f}" fill="{colour}"/>'
        )
        if share > 0.14:
            parts.append(
                f'<text x="{x + own[0] / 2:.1f}" y="{y + own[1] / 2 + 5:.1f}" text-anchor="middle" '
                f'font-size="13" fill="white">{share:.0%}</text>'
            )
        x, y = (x, y + own[1]) if upright else (x + own[0], y)
    return parts


if __name__ == "__main__":
    main()
