"""
A search that gives up early: Optuna
====================================

Optuna tries parameters one after the other, learns from the scores where to look next, and ends what does not promise
to become better than the median of the trials so far. It hears of each epoch by its callback for skorch. To be seen:
how many epochs each trial was given, and how the best parameters do on rows that the search never saw.

With `--storage FILE` the trials are kept in a file. Start the script several times, at once or one after the other:
all of them work on the same study, and a script that dies loses the trial that it was at, no other.
"""

import argparse
import warnings

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from optuna_integration import SkorchPruningCallback
from sklearn.model_selection import train_test_split

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.datasets import make_related_tasks
from sklearn_mmoe.exceptions import DivergenceError, ExpertCollapseWarning

FIXED = {"n_members": 1, "batch_size": 64, "max_epochs": 20, "random_state": 0}
FIXED["learning_rate_schedule"] = "cosine"  # which is down at the last epoch: each trial has as many


def parameters_of(trial):
    size = trial.suggest_categorical("size", [16, 32, 64])
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "n_experts": trial.suggest_int("n_experts", 1, 8, log=True),
        "expert_layer_sizes": (size, size),
    }


def main():
    parser = argparse.ArgumentParser(description="A search that gives up early.")
    parser.add_argument("--trials", type=int, default=12, help="how many trials to add")
    parser.add_argument("--storage", metavar="FILE", help="where to keep the trials")
    arguments = parser.parse_args()

    X, y = make_related_tasks(1200, 20, correlation=0.5, random_state=0)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    X_train, X_val, y_train, y_val = train_test_split(X, y, random_state=0)

    def objective(trial):
        pruning = SkorchPruningCallback(trial, "valid_score")
        model = MMoERegressor(**FIXED, **parameters_of(trial), callbacks=[pruning])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExpertCollapseWarning)  # of learning rates that the search learns to avoid
            model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
        return max(model.validation_scores_)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="mmoe",
        direction="maximize",
        storage=JournalStorage(JournalFileBackend(arguments.storage)) if arguments.storage else None,
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=None if arguments.storage else 0),  # scripts should not try the same
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2),
    )
    study.optimize(objective, n_trials=arguments.trials, catch=DivergenceError)

    print("trial  epochs  end       score  n_experts  size  learning_rate")
    for trial in study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED]):
        scores, chosen = trial.intermediate_values, trial.params
        print(
            f"{trial.number:<7}{len(scores):<8}{trial.state.name.lower():<8}{max(scores.values()):>7.3f}  "
            f"{chosen['n_experts']:<11}{chosen['size']:<6}{chosen['learning_rate']:.4f}"
        )

    best = MMoERegressor(**FIXED, **parameters_of(study.best_trial)).fit(X, y)
    print(f"\nbest: {study.best_params}")
    print(f"R2 on {len(X_test)} other rows: {best.score(X_test, y_test):.3f}")


if __name__ == "__main__":
    main()
