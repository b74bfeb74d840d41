"""
Quantile intervals: how wrong a prediction may be
=================================================

A wave whose noise grows from left to right. Three quantiles of the same target are three tasks of one network: its
column stands three times in `y`, each time with a loss of its own. The outer two enclose nine in ten labels, if the
model is right. To be seen: the share of test labels inside the interval, and its width where the noise is small and
where it is large. A constant interval, the quantiles of all labels, stands beside it.
"""

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoEMultiTask
from sklearn_mmoe.tasks import Regression

QUANTILES = {"q05": 0.05, "q50": 0.50, "q95": 0.95}


def make_data(n_rows, rng):
    x = rng.uniform(0, 10, n_rows)
    return x[:, None], np.sin(x) + rng.normal(size=n_rows) * (0.1 + 0.1 * x)


def main():
    X, y = make_data(6000, np.random.default_rng(0))
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

    tasks = {name: Regression(loss="quantile", quantile=quantile) for name, quantile in QUANTILES.items()}
    model = make_pipeline(
        StandardScaler(),
        MMoEMultiTask(tasks=tasks, n_members=1, n_experts=4, learning_rate=3e-3, max_epochs=60, random_state=0),
    )
    model.fit(X_train, np.column_stack([y_train] * len(tasks)))
    low, _, high = model.predict(X_test).T

    constant_low, constant_high = np.quantile(y_train, [QUANTILES["q05"], QUANTILES["q95"]])
    print(f"{'interval':<12}{'coverage':>10}{'left':>8}{'right':>8}{'width left':>12}{'width right':>13}")
    left = X_test[:, 0] < 5
    for name, lower, upper in [
        ("constant", np.full(len(y_test), constant_low), np.full(len(y_test), constant_high)),
        ("network", low, high),
    ]:
        inside, width = (lower <= y_test) & (y_test <= upper), upper - lower
        shares = [inside.mean(), inside[left].mean(), inside[~left].mean()]
        print(
            f"{name:<12}{shares[0]:>10.3f}{shares[1]:>8.3f}{shares[2]:>8.3f}"
            f"{width[left].mean():>12.2f}{width[~left].mean():>13.2f}"
        )
    print(f"\nrows whose quantiles cross: {np.mean(low > high):.3f}")
    score = model.score(X_test, np.column_stack([y_test] * len(tasks)))
    print(f"share of the pinball loss explained, mean of the three quantiles: {score:.3f}")


if __name__ == "__main__":
    main()
