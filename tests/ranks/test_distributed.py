"""Ranks that train one model together, in real processes; what they do stands in `distributed_fits.py`."""

import os
import pickle
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from distributed_cases import found_by, search
from distributed_failures import FAIL
from distributed_fits import AGREE, EQUAL, SAME_BATCHES, features, targets
from versions import needs_ranks

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._ranks.distributed import joined
from sklearn_mmoe._ranks.group import ALONE

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="ranks are killed and interrupted by signals of POSIX"),
    needs_ranks,
]
CASES = Path(__file__).parents[1] / "support" / "distributed_cases.py"
NUMBERS = ["expert_usage_", "gate_entropy_", "loss_curve_", "task_weights_", "validation_scores_"]
EXACT = ["best_epochs_", "categories_", "classes_", "n_iter_", "n_labels_seen_", "n_samples_seen_", "task_names_"]


@pytest.fixture(scope="session")
def ranks(tmp_path_factory):
    """What each of two ranks has found, in one run for all tests, also where several processes share these."""
    shared = "PYTEST_XDIST_WORKER" in os.environ
    folder = tmp_path_factory.getbasetemp().parent if shared else tmp_path_factory.mktemp("ranks")
    done = folder / "ranks.txt"
    try:
        (folder / "ranks").mkdir()
    except FileExistsError:  # another process runs it
        while not done.exists():
            time.sleep(0.2)
    else:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        run = subprocess.run([*command, CASES, folder / "ranks"], capture_output=True, text=True, env=environment())
        (folder / "written").write_text(f"{run.stdout}{run.stderr}")
        (folder / "written").rename(done)
    assert done.read_text() == ""  # nothing went wrong, and nobody was warned of anything
    return [pickle.loads((folder / "ranks" / f"rank{rank}.pkl").read_bytes()) for rank in range(2)]


def environment(**variables):
    return {**os.environ, "OMP_NUM_THREADS": "1", **variables}


# --------------------------------------------------------------------------------------------------------------------
# Fits that go well


@pytest.mark.parametrize("name", [*EQUAL, *AGREE])
def test_ranks_end_with_the_same_model(ranks, name):
    first, second = ({**rank[name], "drawn": None} for rank in ranks)
    assert first["parts"]["module"]
    np.testing.assert_equal(first, second)  # digit by digit


@pytest.mark.parametrize("name", EQUAL)
def test_two_ranks_equal_one_process(ranks, name):
    alone, together = found_by(EQUAL[name](lambda table: table)), ranks[0][name]
    for key in EXACT:
        np.testing.assert_equal(together.get(key), alone.get(key), err_msg=key)
    for key in NUMBERS:
        np.testing.assert_allclose(
            np.array(together[key], dtype=float), np.array(alone[key], dtype=float), rtol=1e-6, err_msg=key
        )
    for key, tensor in alone["parts"]["module"].items():
        np.testing.assert_allclose(together["parts"]["module"][key], tensor, atol=1e-6, err_msg=key)


def test_the_cases_are_what_they_are_called(ranks):
    """Members stop at epochs of their own, some labels are of one rank only, and so on."""
    found = ranks[0]
    assert found["validation data"]["n_iter_"] < 60
    assert len(set(found["validation data of members"]["best_epochs_"])) == 2
    words, answers = found["labels of one rank"]["classes_"]
    assert (words.tolist(), answers.tolist()) == (["common", "other", "rare"], ["False", "True"])
    assert len(found["categories"]["categories_"]["place"]) > 40
    assert len(found["a validation part"]["validation_scores_"]) == len(found["folds"]["validation_scores_"]) == 4
    assert found["few rows in folds"]["validation_scores_"]
    assert found["a callback that stops"]["n_iter_"] == found["skorch's stopping"]["n_iter_"] == 2
    assert found["a random method"]["task_weights_"].tolist() != [1, 1]


def test_each_rank_draws_its_own_order_and_dropout(ranks):
    drawn = [rank["dropout"]["drawn"] for rank in ranks]
    assert drawn[0] != drawn[1]


def test_only_rank_0_prints(ranks):
    table, bar = ranks[0]["printed"]
    assert table.splitlines()[0].split()[:2] == ["epoch", "train_loss"]
    assert re.match(r"4 epochs \[", bar)
    assert ranks[1]["printed"] == ("", "")


def test_ranks_that_are_told_to_train_alone(ranks):
    for rank, found in enumerate(ranks):
        alone = MMoERegressor(**SAME_BATCHES).fit(features(), targets() + rank)
        np.testing.assert_array_equal(found["alone"]["loss_curve_"], alone.loss_curve_)


def test_searches_have_fits_of_their_own(ranks):
    """Worker processes inherit the variables of the rank that has started them."""
    scores = [found["searches"]["here"] for found in ranks]
    assert scores[0].tolist() != scores[1].tolist()
    np.testing.assert_array_equal(scores[0], search())
    np.testing.assert_array_equal(ranks[1]["searches"]["in workers"], scores[1])


def test_groups_leave_no_threads_behind(ranks):
    """A process that ends with some of them may crash; torch keeps them for whom it finds in the middle of a fit."""
    assert [rank["threads of groups"] for rank in ranks] == [[], []]


def test_a_group_of_the_users_is_used_and_left(ranks):
    for rank, found in enumerate(ranks):
        fits, failure, total = found["in a group of the user's"]
        for fit in fits:
            np.testing.assert_equal(without_seconds(fit), without_seconds(found["regressor"]))
        assert failure[0] == ["RankError", "KeyError"][rank]
        assert total == 2


def without_seconds(found):
    return {**found, "history_": [{**row, "dur": None} for row in found["history_"]]}


# --------------------------------------------------------------------------------------------------------------------
# Fits that fail

AGREE_ON = {
    "fewer features": "number of features: rank 0 has 4, rank 1 has 3",
    "fewer tasks": r"names of tasks: rank 0 has \['y0', 'y1'\], rank 1 has \['y0'\]",
    "other names": r"names of features: rank 0 has \['a' 'b' 'c' 'd'\], rank 1 has \['a' 'b' 'x' 'd'\]",
    "other categories": r"categorical columns of X: rank 0 has \[\], rank 1 has \[1\]",
    "other parameters": "n_experts: rank 0 has 3, rank 1 has 5. Make them the same, or set distributed=False",
    "other seed": "random_state: rank 0 has 0, rank 1 has 1",
    "other method": "method: rank 0 has fit, rank 1 has partial_fit",
    "other model": r"model to go on from \(seed, runs, rows, last loss\): rank 0 has \[\d+, 1, 51, .*, rank 1 has \[",
    "other classes": r"classes: rank 0 has \['False', 'True'\], rank 1 has \['False', 'True', '\?'\]",
    "no data to validate on": "X_val: rank 0 has some, rank 1 has none",
    "no groups": "groups: rank 0 has some, rank 1 has none",
    "other splits": "the number of splits of validation_split: rank 0 has 2, rank 1 has 1",
}
ON_ALL_RANKS = {
    **{name: ("ValueError", f"ranks of a distributed fit must agree on {what}") for name, what in AGREE_ON.items()},
    "other words": ("ValueError", "Task 'y0' mixes labels of types int, str"),
    "other dtype": (
        "ValueError",
        "Column 'a' of y must have the same type on all ranks, got CategoricalDtype.*, CategoricalDtype",
    ),
    "no labels": ("ValueError", "Task 'y1' has no label at all, on all ranks together"),
    "no weights": ("ValueError", "Task 'y1' has labels of weight 0 only, on all ranks together"),
    "no labels to validate on": ("ValueError", "y_val has no label at all"),
    "torn groups": ("ValueError", r"\d groups have rows on several ranks .* Give all rows of a group to one rank"),
    "other groups": ("ValueError", r"groups has labels that have no order, such as 0 \(int\), 'a' \(str\): make them"),
    "divergence": ("DivergenceError", "loss of task 'y0' is (nan|inf) in epoch"),
    "a random scalarizer": ("ValueError", r"task_weights=Random\(\) draws weights at random.*distributed=False"),
}
ON_RANK_1 = {
    "bad features": ("ValueError", "Input X contains NaN in column 2"),
    "an epoch": ("KeyError", "no such thing"),
    "a batch": ("KeyError", "no such thing"),
    "a gradient": ("KeyError", "no such thing"),
    "a backward pass": ("KeyError", "no such thing"),
    "Ctrl-C in a backward pass": ("KeyboardInterrupt", ""),
    "the end": ("KeyError", "no such thing"),
    "Ctrl-C in an epoch": ("KeyboardInterrupt", ""),
    "Ctrl-C in a batch": ("KeyboardInterrupt", ""),
    "exit": ("SystemExit", ""),
}


def test_every_failure_is_expected():
    assert {*ON_ALL_RANKS, *ON_RANK_1} == {*FAIL}


@pytest.mark.parametrize("name", ON_ALL_RANKS)
def test_an_error_that_all_ranks_see(ranks, name):
    kind, words = ON_ALL_RANKS[name]
    for rank in ranks:
        found, text, *_ = rank["failures"][name]
        assert found == kind
        assert re.search(words, text)


@pytest.mark.parametrize("name", ON_RANK_1)
def test_an_error_on_one_rank_ends_all(ranks, name):
    """With the message and the rank that it comes from, long before any time-out."""
    kind, words = ON_RANK_1[name]
    (of_others, text, _, _), (own, own_text, notes, _) = (rank["failures"][name] for rank in ranks)
    assert (of_others, own) == ("RankError", kind)
    assert notes == ["(on rank 1 of 2)"]
    assert re.search(words, own_text)
    assert re.match(f"Rank 1 of 2 has ended this fit, which all ranks do together. {kind}: .*{words}", text)
    assert max(rank["failures"][name][3] for rank in ranks) < 60  # the time-out of gloo is half an hour


def test_a_failure_leaves_all_estimators_as_they_were(ranks):
    for rank in ranks:
        before, after, again = rank["left after a failure"]
        np.testing.assert_equal(after, before)
        np.testing.assert_equal(without_seconds(again), without_seconds(before))


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from distributed_failures import Fails
from distributed_fits import own_rows, regressor
from sklearn_mmoe.exceptions import RankError

hook = sys.excepthook
print(regressor(own_rows, batch_size=15).loss_curve_)
assert sys.excepthook is hook
try:
    regressor(own_rows, callbacks=[Fails("on_batch_end", lambda: os.kill(os.getpid(), signal.SIGKILL))])
except RankError as error:
    print(error)
"""


def test_three_ranks_of_another_launcher_of_which_one_is_killed():
    """Launched by hand, the ranks have no agent that would end the others."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "3"}
    code = KILLED.format(tests=str(CASES.parent))
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(RANK=str(rank), **address),
        )
        for rank in range(3)
    ]
    written = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0, -9, 0]
    alone = EQUAL["regressor"](lambda table: table).set_params(batch_size=15).fit(features(), targets())
    for rank in (0, 2):
        output, noise = written[rank]
        curve, message = output.splitlines()[0], output.splitlines()[1]
        np.testing.assert_allclose([float(loss) for loss in re.findall(r"[\d.]+", curve)], alone.loss_curve_)
        assert re.match(f"Rank {rank} cannot reach the other ranks of this fit any more. One of them may have", message)
        assert noise == ""


# --------------------------------------------------------------------------------------------------------------------
# Without other ranks


def test_one_process_is_alone(monkeypatch):
    with joined("auto") as group:
        assert group is ALONE
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with joined("auto") as group:
        assert group is ALONE
    monkeypatch.setenv("WORLD_SIZE", "2")
    with joined(False) as group:
        assert group is ALONE
    assert not torch.distributed.is_initialized()
