"""Every example runs, shows what it says it shows, and writes nothing to stderr but progress."""

import ast
import re
import runpy
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from forks import environment, run_script
from versions import has, needs_ranks

EXAMPLES = Path(__file__).parents[2] / "examples"
AGG_SHOWS_NOTHING = r".*FigureCanvasAgg is non-interactive, and thus cannot be shown\n.*plt\.show\(\)\n"


def run(name, *arguments):
    """Run an example as a user would; what it prints and what it writes to stderr."""
    exit_code, output, noise = run_script(EXAMPLES / name, *arguments)
    assert exit_code == 0, noise
    return output, re.sub(AGG_SHOWS_NOTHING, "", noise)


def run_on_ranks(name, ranks):
    """The same in several processes that train together."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    done = subprocess.run([*launcher, EXAMPLES / name], capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def numbers(line):
    return [float(number) for number in re.findall(r"-?\d+\.\d+", line)]


def line_of(output, start):
    (line,) = (line for line in output.splitlines() if line.startswith(start))
    return line


def test_every_example_has_a_test():
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert all(f'"{path.name}"' in sources for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_begins_with_a_title_and_what_is_to_be_seen(path):
    title, line, *rest = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()
    assert line == "=" * len(title)
    assert "o be seen" in " ".join(rest)


def test_flights():
    output, progress = run("flights.py", "--rows", "6000")
    assert re.search(r"Trained on 5,0\d\d flights from January to October,\ntested on 9\d\d flights", output)
    scores = output[output.index("task  ") : output.index("\n* best")].splitlines()
    assert [line.split()[0] for line in scores[1:]] == ["cancelled", "late", *2 * ["arr_delay"], *2 * ["air_time"]]
    prior, _, network = numbers(scores[2])
    assert prior == 0.5 < network
    prior, _, network = numbers(scores[5])
    assert prior < 0.01
    assert network > 0.9
    gates = output[output.index("Mean gate weights") :]
    for task in ("cancelled", "late", "arr_delay", "air_time"):
        assert sum(numbers(line_of(gates, task))) == pytest.approx(1, abs=0.05)
    assert re.search(r"loaded in a new process: all 9\d\d predictions agree exactly\.\n$", output)
    stages = [re.sub(r" [\d.]+ s$", "", line) for line in progress.splitlines()]
    assert [stage.split()[0] for stage in stages] == ["Reading", "Training", "Training", "Predicting", "Saving"]
    assert all(stage.endswith("...") for stage in stages)


def test_flights_refuses_too_few_rows(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["flights.py", "--rows", "20"])
    with pytest.raises(SystemExit):
        runpy.run_path(EXAMPLES / "flights.py", run_name="__main__")
    assert "--rows must be between 2,000 and 336,776, the number of flights; got 20" in capsys.readouterr().err


def test_train_bare_module():
    output, noise = run("train_bare_module.py")
    assert noise == ""
    assert "features (64, 128) -> logits (64, 3)\ngates (64, 3, 4)" in output
    losses = [numbers(line)[0] for line in output.splitlines() if line.startswith("epoch")]
    assert losses == sorted(losses, reverse=True)
    for task in "012":
        right, most_common, *_ = numbers(line_of(output, f"{task} "))
        assert right > most_common + 0.05


def test_regression():
    output, noise = run("regression.py")
    assert noise == ""
    assert all(line_of(output, name) for name in ("Weight", "Waist", "Pulse"))
    ridge, network = numbers(line_of(output, "progression"))
    assert network > ridge - 0.1
    assert "predictions of shape (20, 3), gate weights of shape (20, 3, 16)" in output


def test_classification():
    output, noise = run("classification.py")
    assert noise == ""
    for task in ("which digit", "odd or even", "above four"):
        assert numbers(line_of(output, task))[1] > 0.9
    assert re.search(r"\n  \d \(\d\.\d\d\),  (odd|even) \(\d\.\d\d\),  (True|False) \(\d\.\d\d\)\n", output)


def test_grid_search():
    output, noise = run("grid_search.py")
    assert noise == ""
    scores = [numbers(line)[-1] for line in output.splitlines() if re.match(r"[14] ", line)]
    assert len(scores) == 8
    assert scores == sorted(scores, reverse=True)
    assert "'mmoe__n_experts':" in line_of(output, "best:")
    assert numbers(line_of(output, "R2 on 375 other rows"))[0] > 0.8


def test_dask_search():
    output, noise = run("dask_search.py")
    assert re.sub(r".* - distributed\.\w+ - .*\n", "", noise) == ""  # workers that take long to end
    assert output.startswith("2 workers with 2 threads in all\n")
    scores = [numbers(line)[-1] for line in output.splitlines() if re.match(r"[14] ", line)]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert output.endswith("\nthe same scores as in this process: True\n")


def trials_of(output):
    return [line.split() for line in output.splitlines() if re.match(r"\d+ +\d+ +(complete|pruned)", line)]


def test_optuna_search():
    output, noise = run("optuna_search.py")
    assert noise == ""
    trials = trials_of(output)
    assert len(trials) == 12
    ends = [end for _, _, end, *_ in trials]
    assert ends[:4] == 4 * ["complete"]
    assert "pruned" in ends
    assert all(int(n_epochs) == 20 for _, n_epochs, end, *_ in trials if end == "complete")
    early = [int(n_epochs) < 20 for _, n_epochs, end, *_ in trials if end == "pruned"]
    assert (
        all(early) if has("torch", "2.13") else any(early)
    )  # another torch, another search: one ends at the last epoch
    assert "'n_experts':" in line_of(output, "best:")
    assert numbers(line_of(output, "R2 on 300 other rows"))[0] > 0.9


def test_optuna_search_goes_on_with_the_trials_of_a_file(tmp_path):
    runs = [run("optuna_search.py", "--trials", "2", "--storage", str(tmp_path / "trials")) for _ in range(2)]
    assert [noise for _, noise in runs] == ["", ""]
    first, both = (trials_of(output) for output, _ in runs)
    assert [trial[0] for trial in both] == ["0", "1", "2", "3"]
    assert both[:2] == first


@needs_ranks
def test_distributed_fit():
    """Under torchrun, where the test starts two processes, and alone."""
    alone, noise = run("distributed_fit.py")
    assert noise == ""
    assert "process 0: 20000 rows of 20000, weights " in alone
    together, noise = run_on_ranks("distributed_fit.py", 2)
    assert noise == ""
    weights = re.findall(r"process \d: 10000 rows of 20000, weights ([0-9a-f]{8})", together)
    assert len(weights) == 2
    assert len(set(weights)) == 1
    for output in (alone, together):
        assert min(numbers(line)[-1] for line in output.splitlines() if line.startswith("R2")) > 0.5


@needs_ranks
@pytest.mark.slow
def test_ranks_part_cleanly_twenty_times_out_of_twenty():
    for _ in range(20):
        _, noise = run_on_ranks("distributed_fit.py", 2)  # which looks at the exit code
        assert noise == ""


def test_partial_labels():
    output, noise = run("partial_labels.py")
    assert noise == ""
    r2 = {name: numbers(line_of(output, name))[-1] for name in ("incomplete", "one network per", "one network, every")}
    assert r2["incomplete"] < r2["one network per"] < r2["one network, every"]


def test_quantile_intervals():
    output, noise = run("quantile_intervals.py")
    assert noise == ""
    coverage, left, right, width_left, width_right = numbers(line_of(output, "network"))
    assert 0.84 < coverage < 0.94
    assert min(left, right) > 0.8
    assert width_left < 0.6 * width_right
    assert numbers(line_of(output, "rows whose quantiles cross"))[0] < 0.02


def test_calibration():
    output, noise = run("calibration.py")
    assert noise == ""
    (share,) = numbers(line_of(output, "share of the rare class"))
    plain, balanced, calibrated = (
        numbers(line_of(output, name)) for name in ("plain ", "balanced ", "balanced, calibrated")
    )
    assert balanced[0] > 2 * share
    assert plain[0] == pytest.approx(share, rel=0.25)
    assert calibrated[0] == pytest.approx(share, rel=0.25)
    for score in (1, 2):  # log-loss and Brier score
        assert max(plain[score], calibrated[score]) < balanced[score]
    assert balanced[3] > plain[3]
    assert balanced[4] == pytest.approx(plain[4], abs=0.03)


def test_categorical():
    output, noise = run("categorical.py")
    assert noise == ""
    none, one_hot, embeddings = (numbers(line_of(output, name)) for name in ("no cat", "one-hot", "embeddings"))
    assert none[0] < 0.65 < 0.85 < min(one_hot[0], embeddings[0])
    assert none[1] < 0.05 < 0.4 < min(one_hot[1], embeddings[1])
    assert "categories: {'reader': 100, 'article': 80}" in output
    assert 0 < numbers(line_of(output, "a new reader"))[0] < 1


def test_partly_defined_tasks():
    output, errors = run("partly_defined_tasks.py")
    assert errors == ""
    late, late_by = (numbers(line_of(output, "Trained on 30,000"))[i] for i in (1, 2))
    assert 0.9 < late < 1
    assert 0.2 < late_by < 0.3
    for measure in ("cancelled    AUC", "late         AUC"):
        right, wrong = numbers(line_of(output, measure))
        assert right > 0.6
        assert wrong == pytest.approx(right, abs=0.02)  # complete tasks do not mind
    right, wrong = numbers(line_of(output, "late_by      R2"))
    assert wrong < -0.2 < 0 < right
    right, wrong = numbers(line_of(output, "late_by      mean prediction"))
    (truth,) = numbers(line_of(output, "late_by      mean label"))
    assert abs(right - truth) < 10
    assert wrong < truth / 2
    assert output.endswith("give the predictions of missing labels: True\n")


def test_plot_task_weights():
    output, noise = run("plot_task_weights.py")
    assert noise == ""
    scores = {name: numbers(line_of(output, f"{name} ")) for name in ("0.03 : 1", "30.00 : 1", "dwa", "uncertainty")}
    (_, first_by_little, second_by_much, _), (_, first_by_much, second_by_little, _) = (
        scores[name] for name in ("0.03 : 1", "30.00 : 1")
    )
    assert first_by_much > first_by_little + 0.02
    assert second_by_much > second_by_little + 0.02
    assert scores["dwa"][2] > max(scores["0.03 : 1"][3], scores["30.00 : 1"][3])


def test_plot_embeddings():
    output, noise = run("plot_embeddings.py")
    assert noise == ""
    assert re.search(r"24 hours, 9 numbers each; [789]\d% in a plane", output)
    next_hour, opposite = numbers(line_of(output, "mean distance"))
    assert next_hour < 0.6 * opposite


def test_plot_gates():
    output, noise = run("plot_gates.py")
    assert noise == ""
    assert numbers(line_of(output, "R2 on new rows"))[0] > 0.8
    (spending,), (basket,), (visits,) = (numbers(line_of(output, name)) for name in ("spending", "basket", "visits"))
    assert min(spending, basket) > 2 * visits


def test_plot_task_affinity():
    output, noise = run("plot_task_affinity.py")
    assert noise == ""
    within, between = numbers(line_of(output, "gradients, 3 epochs"))
    assert within > 0.25 > 0.05 > abs(between)
    families = [name.split()[0] for name in line_of(output, "drawn as").removeprefix("drawn as ").split(", ")]
    assert sum(a != b for a, b in pairwise(families)) == 1
    correlation, cosine = numbers(line_of(output, "first 1 and first 2"))
    assert correlation < -0.9
    assert cosine > 0.2
    later, between = numbers(line_of(output, "gradients, 30 epochs"))
    assert later < within
    assert abs(between) < 0.05
    for epochs in (3, 30):
        within, between = numbers(line_of(output, f"gates, {epochs} epochs"))
        assert 1 > within > between > 0.5


def test_plot_mixed_tasks():
    output, noise = run("plot_mixed_tasks.py")
    assert noise == ""
    assert [line.split()[0] for line in output.splitlines()] == ["spent", "visits", "returned", "plan"]
    shown = {"spent": "PredictionError", "visits": "PredictionError", "returned": "RocCurve", "plan": "ConfusionMatrix"}
    prior = {"spent": 0, "visits": 0, "returned": 0.5, "plan": 0.5}
    for task, name in shown.items():
        line = line_of(output, task)
        assert line.endswith(f" {name}Display")
        assert numbers(line)[-1] > prior[task] + 0.15


def test_plot_quantile_bands():
    output, noise = run("plot_quantile_bands.py")
    assert noise == ""
    for quantile in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert numbers(line_of(output, f"{quantile:.2f}")) == pytest.approx(3 * [quantile], abs=0.09)
    assert numbers(line_of(output, "rows in which two"))[0] < 0.1


def test_plot_missing_labels():
    output, noise = run("plot_missing_labels.py")
    assert noise == ""
    related, unrelated = (part.splitlines() for part in output.split("unrelated tasks"))
    every, dropped, alone = (numbers(line) for line in related[1:4])
    assert every[1] == pytest.approx(alone[1], abs=0.03)
    assert every[3] > alone[3] + 0.01
    assert alone[3] > dropped[3]
    every_unrelated, _, alone_unrelated = (numbers(line) for line in unrelated[1:4])
    assert every[3] - alone[3] > every_unrelated[3] - alone_unrelated[3]


def test_plot_ensemble():
    output, noise = run("plot_ensemble.py")
    assert noise == ""
    errors = [numbers(line_of(output, f"{n_members} "))[0] for n_members in (1, 2, 4, 8)]
    assert errors[0] == max(errors)
    assert errors[3] < errors[0] - 0.005


def test_plot_learning_curves():
    output, noise = run("plot_learning_curves.py")
    assert noise == ""
    slow, noisy, kept = (
        [re.findall(r"[\d.]+", line) for line in output.splitlines() if line.startswith(start)]
        for start in ("slow ", "noisy ", "kept")
    )
    assert len(slow) == len(noisy) == len(kept) == 3  # fits
    assert int(noisy[0][0]) + 5 < int(slow[0][0])  # best epochs
    assert int(kept[0][0]) < 15 < int(kept[1][0])
    assert float(slow[1][2]) < 0.8 * float(slow[0][2])  # losses in the epoch that was kept
    assert float(noisy[1][2]) > 1.2 * float(noisy[0][2])
    assert int(kept[2][0]) < 15
    at_first, at_last = numbers(line_of(output, "weight of noisy"))
    assert at_last < at_first - 0.2


def test_plot_transfer():
    output, noise = run("plot_transfer.py")
    assert noise == ""
    gains = {}
    for task in ("sensor A", "sensor B", "sensor C", "something else"):
        *_, gain, error = numbers(line_of(output.replace("      sensor", "sensor"), task))
        gains[task] = gain / error
    assert abs(gains["sensor A"]) < 2
    assert min(gains["sensor B"], gains["sensor C"]) > 2
    assert gains["something else"] < -2


def test_plot_compare_estimators():
    output, noise = run("plot_compare_estimators.py")
    assert noise == ""
    network, ridge, trees = (numbers(line_of(output, name))[0] for name in ("MMoE", "ridge", "boosted trees"))
    assert ridge < network < ridge + 0.03
    assert trees < network
    counts = [int(count) for count in re.findall(r"\d+", line_of(output, "tasks won"))]
    assert sum(counts) == 10
    assert counts[0] == max(counts)


def test_plot_task_relatedness():
    output, errors = run("plot_task_relatedness.py")
    assert errors == ""
    small, stored = output.split("Stored run: 20 seeds, 20,000 rows")
    assert small.startswith("Small run: 3 seeds, 5,000 rows")
    for table, n_lines, n_runs in ((small, 2 * 3, 3), (stored, 5 * 3, 20)):
        lines = [line.split() for line in table.splitlines() if re.match(r" *[01]\.", line)]
        assert len(lines) == n_lines
        assert all(0 < float(line[2]) < 0.8 and int(line[-1]) == n_runs for line in lines)
        assert all(line[4:7] == ["0.0000", "0.0000", "1.0000"] for line in lines if line[1] == "MMoE")
