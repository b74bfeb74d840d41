"""One training epoch by everything that people use instead, side by side, and a picture of it."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from _bench import parser, ratio, report, side_by_side
from _contenders import (
    TextbookMMoE,
    batched_module,
    hand_loop,
    mlp_regressor,
    ours,
    regression_data,
    skorch_default,
)
from _peers import PEERS

N_ROWS, REPEATS = 20_000, 7
OURS = "sklearn_mmoe"
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "speed.png"


def contenders() -> tuple[dict, list[str]]:
    """What is installed here, and what is not."""
    X, y = regression_data(N_ROWS)
    found = {
        OURS: ours(X, y, batch_size=256),
        "hand loop, batched module": hand_loop(batched_module(X, y), X, y),
        "hand loop, textbook module": hand_loop(TextbookMMoE(128, 3), X, y),
        "skorch's default, textbook module": skorch_default(X, y),
        "MLPRegressor (256, 64), no experts": mlp_regressor(X, y),
    }
    missing = []
    for name, peer in PEERS.items():
        try:
            found[name] = peer(X, y, wide=False)
            found[f"{name}, one wide feature"] = peer(X, y, wide=True)
        except ImportError as error:
            missing.append(f"{name} ({error})")
    return found, missing


def draw(per_100k: dict[str, float]) -> None:
    """Seconds of an epoch as bars, the fastest on top."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    names = sorted(per_100k, key=per_100k.__getitem__, reverse=True)
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(names) + 0.9), layout="constrained")
    colours = ["#c44e52" if name == OURS else "#9aa5b1" for name in names]
    bars = axes.barh(names, [per_100k[name] for name in names], color=colours, height=0.7)
    axes.bar_label(bars, [f"{per_100k[name]:.2f} s" for name in names], padding=4)
    axes.set_xlabel("seconds per epoch")
    figure.suptitle("One epoch of 100,000 rows: 128 features, 3 tasks, 4 experts, batch 256", fontsize="medium")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=150)


def main() -> None:
    parser(__doc__).parse_args()
    found, missing = contenders()
    seconds = side_by_side(found, REPEATS)
    scale = 100_000 / N_ROWS
    per_100k = {name: scale * median(took) for name, took in seconds.items()}
    rows = [
        [name, f"{per_100k[name]:.2f} s", f"{ratio(seconds, name, OURS):.2f}"]
        for name in sorted(per_100k, key=per_100k.__getitem__)
    ]
    skipped = [[name, "not installed: skipped", ""] for name in missing]
    report(
        "peers",
        "One training epoch: 128 features, 3 regressions, 4 experts (64, 64), towers (32,), batch 256, float32",
        ["contender", "100,000 rows", f"times {OURS}"],
        rows + skipped,
        f"Measured on {N_ROWS:,} rows, contenders in turn; the ratio is the median of the ratios within a round.",
    )
    draw(per_100k)


if __name__ == "__main__":
    main()
