"""
Flights: four tasks, two kinds, missing labels, one network
===========================================================

Every flight that was to leave New York City in 2013: will it be cancelled, will it be late, by how many minutes, and
how long will it be in the air? Flights that never arrived have a label for the first task only. One multi-gate
mixture-of-experts learns all four tasks from January to October and is tested on November and December. To be seen: its
scores beside the prior (the mean of the training labels) and one gradient boosting model per task, which experts each
task listens to, and that the saved model answers the same in another process.

Run it with `python examples/flights.py`, or on fewer flights with `--rows 20000`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skorch.callbacks import Callback

from sklearn_mmoe import MMoEMultiTask
from sklearn_mmoe.datasets import load_flights

TASKS = {"cancelled": "binary", "late": "binary", "arr_delay": "regression", "air_time": "regression"}
MEASURES = {  # (name, function of labels and predictions, whether more is better, digits to show)
    "binary": [("AUC", roc_auc_score, True, 3)],
    "regression": [("R2", r2_score, True, 3), ("MAE, minutes", mean_absolute_error, False, 2)],
}
LEGEND = """
* best. AUC: 0.5 is chance, 1 is perfect. R2: 1 is perfect, 0 is no better than knowing the mean
of the test months. MAE: mean absolute error. Delays are hard to foresee months ahead: no model
explains much of them.
"""


# ----------------------------------------------------------------------------------------------------------------------
# The models. The settings of both were chosen within the training months, by training on the first of them and looking
# at the next. What lasts is learned in a few passes; what comes after is the weather of those very days. The flights of
# an hour share their weather, so that a validation part drawn at random would hide that: the epochs are fixed. (`fit`
# would hold out whole hours, by `mmoe__groups=hours`; with fixed epochs, all of them are learned from.)


def make_network(n_rows):
    """Preprocessing for a DataFrame of categories and numbers with gaps, then one network for all tasks."""
    categories = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=0.001, sparse_output=False, dtype=np.float32
    )
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    columns = make_column_transformer(
        (categories, make_column_selector(dtype_include="category")),
        (numbers, make_column_selector(dtype_include="number")),
    )
    network = MMoEMultiTask(
        tasks=TASKS,
        n_members=1,  # with so many rows, one network is enough; its gates are easier to read
        n_experts=8,
        expert_layer_sizes=(64,),
        learning_rate=1e-3,
        weight_decay=1.0,
        batch_size=1024 if n_rows > 100_000 else 64,  # enough steps for a quick run, too
        max_epochs=3,
        early_stopping=False,
        callbacks=[Epochs()],
        random_state=0,
    )
    return Pipeline([("columns", columns), ("mmoe", network)])


def fit_trees(X, y):
    """One gradient boosting model per task, each on the rows that have its label."""
    models = {}
    for name, kind in TASKS.items():
        cls = HistGradientBoostingClassifier if kind == "binary" else HistGradientBoostingRegressor
        model = cls(learning_rate=0.05, max_leaf_nodes=15, early_stopping=False, random_state=0)
        labelled = y[name].notna()
        models[name] = model.fit(X[labelled], y.loc[labelled, name].astype(float))
        show(name)
    return models


# ----------------------------------------------------------------------------------------------------------------------
# What they predict: for each task one number per row, for the binary tasks the probability of "yes"


def predict_prior(y_train, n_rows):
    return {name: np.full(n_rows, y_train[name].astype(float).mean()) for name in TASKS}


def predict_trees(models, X):
    return {
        name: models[name].predict_proba(X)[:, 1] if kind == "binary" else models[name].predict(X)
        for name, kind in TASKS.items()
    }


def predict_network(model, X):
    predictions = dict(zip(TASKS, model.predict(X).T, strict=True))
    probabilities = {name: proba[:, 1] for name, proba in model.predict_proba(X).items()}
    return {**predictions, **probabilities}


# ----------------------------------------------------------------------------------------------------------------------
# Tables


def print_scores(y, predictions):
    """A line per task and measure, a column per model, a star at the best."""
    print("\n" + f"{'task':<12}{'measure':<14}" + "".join(f"{model:>16} " for model in predictions).rstrip())
    n_lines, n_best = 0, dict.fromkeys(predictions, 0)
    for name, kind in TASKS.items():
        labelled = y[name].notna().to_numpy()
        labels = y.loc[labelled, name].astype(float)
        for measure, function, more_is_better, digits in MEASURES[kind]:
            scores = {model: function(labels, predicted[name][labelled]) for model, predicted in predictions.items()}
            shown = {model: f"{score:z.{digits}f}" for model, score in scores.items()}
            best = shown[(max if more_is_better else min)(scores, key=scores.get)]
            cells = [f"{text:>16}{'*' if text == best else ' '}" for text in shown.values()]
            print(f"{name:<12}{measure:<14}{''.join(cells)}".rstrip())
            n_lines += 1
            for model, text in shown.items():
                n_best[model] += text == best
    print(LEGEND)
    print(f"Best in {n_best['MMoE']} of {n_lines} lines: one network for all tasks.")
    print(f"Best in {n_best['boosted trees']} of {n_lines} lines: boosted trees, a model per task.\n")


def print_gates(weights):
    """How much each task leans on each expert, on average over the rows."""
    n_experts = weights.shape[2]
    print("Mean gate weights: the share of each expert in what a task sees\n")
    print(f"{'expert':<12}" + "".join(f"{k:>6}" for k in range(1, n_experts + 1)))
    for name, shares in zip(TASKS, weights.mean(axis=0), strict=True):
        print(f"{name:<12}" + "".join(f"{share:>6.2f}" for share in shares))


# ----------------------------------------------------------------------------------------------------------------------
# Saved, and loaded in a new process

LOAD_AND_PREDICT = """
import sys, joblib
model, X = joblib.load(sys.argv[1]), joblib.load(sys.argv[2])
joblib.dump((model.predict(X), model.predict_proba(X)), sys.argv[3])
"""


def agrees_in_new_process(model, X):
    """Whether the saved model gives the same answers to the last bit; and the size of its file in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        saved, rows, answers = (Path(folder) / name for name in ("model.joblib", "rows.joblib", "answers.joblib"))
        joblib.dump(model, saved)
        joblib.dump(X, rows)
        subprocess.run([sys.executable, "-c", LOAD_AND_PREDICT, saved, rows, answers], check=True)
        size = saved.stat().st_size
        there, there_proba = joblib.load(answers)
    here_proba = model.predict_proba(X)
    same = np.array_equal(model.predict(X), there)
    return same and all(np.array_equal(here_proba[name], there_proba[name]) for name in here_proba), size


# ----------------------------------------------------------------------------------------------------------------------
# Progress: one line per stage on stderr, written over as it goes on where that is a terminal


@contextmanager
def stage(text):
    show.text = text
    print(f"{text} ...", end="", file=sys.stderr, flush=True)
    start = time.perf_counter()
    yield
    show("")
    print(f" {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)


def show(detail):
    if sys.stderr.isatty():
        print(f"\r\x1b[K{show.text} ... {detail}".rstrip(), end="", file=sys.stderr, flush=True)


class Epochs(Callback):
    """Shows the epochs."""

    def on_epoch_end(self, net, **kwargs):
        show(f"epoch {len(net.history)} of {net.max_epochs}, loss {net.history[-1]['train_loss']:.3f}")


# ----------------------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description="Four tasks on the flights out of New York City in 2013.")
    parser.add_argument("--rows", type=int, default=None, help="take this many flights, spread over the year")
    rows = parser.parse_args().rows
    if rows is not None and not 2_000 <= rows <= 336_776:
        parser.error(f"--rows must be between 2,000 and 336,776, the number of flights; got {rows:,}")

    with stage("Reading the flights"):
        flights = load_flights(n_rows=rows)
    is_test = flights.time >= "2013-11-01"
    X_train, y_train = flights.data[~is_test], flights.target[~is_test]
    X_test, y_test = flights.data[is_test], flights.target[is_test]

    network = make_network(len(X_train))
    with stage(f"Training one network on {len(X_train):,} flights"):
        network.fit(X_train, y_train)
    network.set_params(mmoe__callbacks=None)  # this script's own class: a process that loads the model lacks it
    with stage(f"Training {len(TASKS)} gradient boosting models"):
        trees = fit_trees(X_train, y_train)
    with stage("Predicting the test months"):
        predictions = {
            "prior": predict_prior(y_train, len(X_test)),
            "boosted trees": predict_trees(trees, X_test),
            "MMoE": predict_network(network, X_test),
        }
        gates = network["mmoe"].gate_weights(network["columns"].transform(X_test))

    print(f"\nTrained on {len(X_train):,} flights from January to October,")
    print(f"tested on {len(X_test):,} flights of November and December, 2013")
    print_scores(y_test, predictions)
    print_gates(gates)
    print(flush=True)

    with stage("Saving the network, loading it in a new process"):
        agrees, size = agrees_in_new_process(network, X_test)
    if not agrees:
        sys.exit("The saved network predicts something else in a new process.")
    print(f"Saved ({size / 1e6:.1f} MB) and loaded in a new process: all {len(X_test):,} predictions agree exactly.")


if __name__ == "__main__":
    main()
