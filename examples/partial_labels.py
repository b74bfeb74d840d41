"""
Partial labels: learning from rows that lack some
=================================================

Two related regressions; each label is missing with probability 0.6, so that 84 in 100 rows lack one or both. A NaN in
`y` says "this label is missing": such a cell adds nothing to the loss, and the row still teaches the other task. To be
seen: R2 on test rows of one network that learns from every label, beside what is usually done instead, that is to drop
the incomplete rows or to fit one network per task. The last line is what complete labels would give.
"""

import numpy as np
from sklearn.metrics import r2_score

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.datasets import make_related_tasks

N_TRAIN, N_TEST, MISSING = 2000, 1000, 0.6


def make_model():
    return MMoERegressor(
        n_experts=4,
        expert_layer_sizes=(64,),
        learning_rate=1e-2,
        learning_rate_schedule="cosine",
        batch_size=64,
        max_epochs=12,
        random_state=0,
    )


def fit_together(X, y):
    """One network for both tasks."""
    return make_model().fit(X, y).predict


def fit_apart(X, y):
    """A network per task, each on the rows that have its label."""
    models = [make_model().fit(X[has], labels[has]) for labels, has in zip(y.T, np.isfinite(y).T, strict=True)]
    return lambda X: np.column_stack([model.predict(X) for model in models])


def main():
    X, labels = make_related_tasks(N_TRAIN + N_TEST, 20, correlation=0.95, random_state=0)
    X, X_test = X[:N_TRAIN], X[N_TRAIN:]
    complete, y_test = labels[:N_TRAIN], labels[N_TRAIN:]

    y = complete.copy()
    y[np.random.default_rng(0).random(y.shape) < MISSING] = np.nan
    whole = np.isfinite(y).all(axis=1)

    print(f"{'trained on':<28}{'rows':>6}{'labels':>8}{'R2':>8}")
    for name, fit, X_own, y_own in [
        ("incomplete rows dropped", fit_together, X[whole], y[whole]),
        ("one network per task", fit_apart, X, y),
        ("one network, every label", fit_together, X, y),
        ("(no label missing)", fit_together, X, complete),
    ]:
        predict = fit(X_own, y_own)
        there = np.isfinite(y_own)
        r2 = r2_score(y_test, predict(X_test))
        print(f"{name:<28}{there.any(axis=1).sum():>6}{there.sum():>8}{r2:>8.3f}")


if __name__ == "__main__":
    main()
