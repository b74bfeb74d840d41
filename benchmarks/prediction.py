"""`predict` of one row and of many, against MLPRegressor and the bare module."""

from __future__ import annotations

import torch
from _bench import VERSUS, parser, report, side_by_side, timed, versus
from _contenders import regression_data
from sklearn.neural_network import MLPRegressor

from sklearn_mmoe import MMoERegressor


def main() -> None:
    parser(__doc__).parse_args()
    X, y = regression_data(100_000)
    model = MMoERegressor(n_members=1, n_experts=4, max_epochs=1, random_state=0).fit(X[:5000], y[:5000])
    mlp = MLPRegressor(hidden_layer_sizes=(256, 64), max_iter=1).partial_fit(X[:5000], y[:5000])
    module, tensor = model.module_, torch.from_numpy(X)

    def bare(rows: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return module(rows)

    one = side_by_side(
        {
            "ours": timed(lambda: model.predict(X[:1]), 300),
            "mlp": timed(lambda: mlp.predict(X[:1]), 300),
            "bare": timed(lambda: bare(tensor[:1]), 300),
        },
        repeats=7,
    )
    many = side_by_side({"ours": timed(lambda: model.predict(X), 3), "bare": timed(lambda: bare(tensor), 3)}, repeats=7)

    report(
        "prediction",
        "predict, 128 features, 3 regressions, 4 experts",
        VERSUS,
        [
            versus("one row against MLPRegressor (256, 64)", one, "ours", "mlp", "at most 2", "us"),
            versus("one row against the bare module", one, "ours", "bare", unit="us"),
            versus("100,000 rows against the bare module in one call", many, "ours", "bare", "at most 1.2", "us"),
        ],
    )


if __name__ == "__main__":
    main()
