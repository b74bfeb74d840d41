"""
Tasks that exist on some rows only: minutes late, of flights that are late
==========================================================================

What a customer buys is defined after a click only, and how many minutes a flight is late only if it is late. Here one
network learns three tasks of the flights out of New York City in 2013: is a flight cancelled, is it late if it flies,
and by how many minutes if it is late. The right way is a missing label (NaN) wherever a task does not exist; a sample
weight of 0 per label says the same, and gives the same model. The wrong way, which is easily taken, is to write 0
there: the network then learns "0 minutes" from all flights that are in time or cancelled. To be seen: the scores of
both on the test flights for which each task exists, and what the zeros do to the mean prediction.
"""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mmoe import MMoEMultiTask
from sklearn_mmoe.datasets import load_flights

N_ROWS, N_TRAIN = 40_000, 30_000
NUMBERS = ["sched_dep", "sched_arr", "distance"]


def load_tasks():
    """Features, and three targets with NaN wherever a task does not exist."""
    X, flights = load_flights(return_X_y=True, n_rows=N_ROWS)
    late = flights["late"].astype(float)  # missing for cancelled flights
    late_by = flights["arr_delay"].where(late == 1)
    y = pd.DataFrame({"cancelled": flights["cancelled"].astype(float), "late": late, "late_by": late_by})
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=False), make_column_selector(dtype_include="category")),
        (StandardScaler(), NUMBERS),
    )
    rows = np.random.default_rng(0).permutation(N_ROWS)
    return encode.fit_transform(X)[rows].astype(np.float32), y.iloc[rows].reset_index(drop=True)


def fit(X, y, sample_weight=None):
    tasks = {"cancelled": "binary", "late": "binary", "late_by": "regression"}
    model = MMoEMultiTask(
        tasks=tasks,
        n_members=1,
        n_experts=8,
        expert_layer_sizes=(64,),
        max_epochs=4,
        early_stopping=False,
        random_state=0,
    )
    return model.fit(X, y, sample_weight)


def scores(model, X, y):
    """Measures of each task on the flights for which it exists."""
    probabilities = {name: proba[:, 1] for name, proba in model.predict_proba(X).items()}
    minutes = model.predict_frame(X)["late_by"].to_numpy(dtype=float)
    flown, late = y["late"].notna(), y["late_by"].notna()
    return {
        "cancelled    AUC": roc_auc_score(y["cancelled"], probabilities["cancelled"]),
        "late         AUC": roc_auc_score(y["late"][flown], probabilities["late"][flown]),
        "late_by      R2": r2_score(y["late_by"][late], minutes[late]),
        "late_by      MAE, minutes": mean_absolute_error(y["late_by"][late], minutes[late]),
        "late_by      mean prediction": minutes[late].mean(),
    }


def main():
    X, y = load_tasks()
    X, X_test, y, y_test = X[:N_TRAIN], X[N_TRAIN:], y[:N_TRAIN], y[N_TRAIN:]
    exists = y.notna().mean()
    print(f"Trained on {N_TRAIN:,} flights. Share for which a task exists: ", end="")
    print(", ".join(f"{name} {share:.3f}" for name, share in exists.items()))

    right = fit(X, y)
    by_weights = fit(X, y.fillna(0.0), sample_weight=y.notna().to_numpy(dtype=float))
    zeros = fit(X, y.fillna(0.0))

    print(f"\n{'':<30}{'missing':>10}{'zeros':>10}")
    wrong = scores(zeros, X_test, y_test)
    for measure, score in scores(right, X_test, y_test).items():
        print(f"{measure:<30}{score:>10.3f}{wrong[measure]:>10.3f}")
    print(f"{'late_by      mean label':<30}{y_test['late_by'].mean():>10.3f}")

    same = np.allclose(right.predict(X_test), by_weights.predict(X_test), atol=1e-3)
    print(f"\nZeros with a weight of 0 give the predictions of missing labels: {same}")


if __name__ == "__main__":
    main()
