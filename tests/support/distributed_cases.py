"""A script that does all fits of `distributed_fits.py` and `distributed_failures.py` under a launcher.

    torchrun --standalone --nproc-per-node=2 tests/support/distributed_cases.py FOLDER

leaves in FOLDER what each rank has found.
"""

import contextlib
import io
import pickle
import sys
import time
import warnings
from pathlib import Path

import torch
from distributed_failures import FAIL, Fails, broken
from distributed_fits import AGREE, EQUAL, SAME_BATCHES, SMALL, features, free, own_rows, rank, regressor, targets
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold
from torch import distributed as dist

from sklearn_mmoe import MMoERegressor


def found_by(model):
    """All that a fitted model knows, as text, numbers and arrays."""
    parts = model.net_.__getstate__()["parts"]
    attributes = {name: getattr(model, name) for name in ATTRIBUTES if hasattr(model, name)}
    return {"parts": parts, "drawn": getattr(model.net_, "drawn_", None), "tasks": repr(model._tasks), **attributes}


ATTRIBUTES = [
    "best_epochs_",
    "categories_",
    "classes_",
    "expert_usage_",
    "gate_entropy_",
    "history_",
    "loss_curve_",
    "n_features_in_",
    "n_iter_",
    "n_labels_seen_",
    "n_samples_seen_",
    "task_names_",
    "task_weights_",
    "validation_scores_",
]


def failure_of(fit):
    """Type, text and note of the error, and the seconds that passed until it came."""
    started = time.perf_counter()
    try:
        fit(own_rows)
    except BaseException as error:
        return type(error).__name__, str(error), getattr(error, "__notes__", []), time.perf_counter() - started
    return None


def what_is_left_after_a_failure():
    """A fitted model goes through a fit that fails; it answers as before, and the next fit goes well."""
    model = MMoERegressor(**SMALL).fit(own_rows(features()), own_rows(targets()))
    before = found_by(model)
    model.set_params(callbacks=[Fails("on_batch_end", broken)])
    with contextlib.suppress(BaseException):
        model.fit(own_rows(features()), own_rows(targets()))
    after = found_by(model)
    return before, after, found_by(model.set_params(callbacks=None).fit(own_rows(features()), own_rows(targets())))


def search(n_jobs=None, **parameters):
    """Each rank's search has fits of its own: here, or in workers that inherit the variables of the rank."""
    grid = GridSearchCV(MMoERegressor(**SMALL, **parameters), {"n_experts": [1, 2]}, cv=KFold(2), n_jobs=n_jobs)
    grid.refit = "distributed" in parameters
    return grid.fit(features() + rank(), targets()).cv_results_["mean_test_score"]


def printed():
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        free(own_rows, verbose=2)
        free(own_rows, verbose=1)
    return out.getvalue(), err.getvalue()


def in_a_group_of_the_users():
    """The group is used, and left as it is."""
    dist.init_process_group("gloo")
    fits = [found_by(regressor(own_rows)) for _ in range(2)]
    failure = failure_of(FAIL["a batch"])
    total = torch.ones(1)
    dist.all_reduce(total)
    dist.destroy_process_group()
    return fits, failure, total.item()


def main():
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "max_epochs=", ConvergenceWarning)  # these fits are short
    found = {name: found_by(fit(own_rows)) for name, fit in {**EQUAL, **AGREE}.items()}
    found["failures"] = {name: failure_of(fit) for name, fit in FAIL.items()}
    found["left after a failure"] = what_is_left_after_a_failure()
    found["alone"] = found_by(MMoERegressor(**SAME_BATCHES, distributed=False).fit(features(), targets() + rank()))
    found["printed"] = printed()
    found["in a group of the user's"] = in_a_group_of_the_users()
    found["searches"] = {"in workers": search(n_jobs=2) if rank() else None, "here": search(distributed=False)}
    names = [name.read_text() for name in Path("/proc/self/task").glob("*/comm")]  # empty where there is no such folder
    found["threads of groups"] = [name for name in names if "gloo" in name]
    Path(sys.argv[1], f"rank{rank()}.pkl").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
