"""The picture of the accuracy benchmark: who is in it, and that nothing stands on anything else."""

from itertools import combinations

import accuracy_picture
import numpy as np
import pandas as pd
import pytest
from _accuracy_contenders import CONTENDERS, VARIANTS

RANKED = [name for name in CONTENDERS if name not in VARIANTS]
SPREAD = pd.DataFrame({"rank": np.linspace(2, 9, len(RANKED)), "fit": np.geomspace(20, 50_000, len(RANKED))}, RANKED)


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "table",
    [
        SPREAD,
        SPREAD.assign(fit=SPREAD["fit"].to_numpy()[::-1]),
        SPREAD.assign(rank=[1.9, 3.5, 3.6, 5.3, 6.4, 5.7, 5.5, 4.8, 3.8, 4.1, 3.9, 9, 9.2]),
    ],
    ids=["along a line", "against it", "in clusters"],
)
def test_names_run_into_nothing(table, tmp_path):
    figure = accuracy_picture.draw(table, 38, tmp_path / "new" / "accuracy.png")
    assert (tmp_path / "new" / "accuracy.png").stat().st_size > 10_000
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert sorted(text.get_text() for text in axes.texts) == sorted(RANKED)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    marks = axes.transData.transform(table[["fit", "rank"]].to_numpy())
    assert not any(box.contains(*mark) for box in boxes for mark in marks)
    assert all(figure.bbox.containsx(box.x0) and figure.bbox.containsx(box.x1) for box in boxes)
    assert axes.yaxis_inverted()


HEADER = "set,contender,run,task,metric,score,fit_seconds,predict_seconds"
RUNS = [
    *("A,MMoE,0,t,R2,0.9,9,1,8,1,", "A,OMoE,0,t,R2,0.8,9,1,8,1,", "A,HGB,0,t,R2,0.7,5,1,4,1,"),
    *(
        "B,MMoE,0,t,R2,0.9,9,1,8,1,",
        "B,OMoE,0,t,R2,0.8,9,1,8,1,",
        "B,HGB,0,t,R2,0.7,5,1,4,1,",
        "B,MLP,0,t,R2,0,1,1,1,1,",
    ),
]


def test_those_who_have_done_all_sets_are_in_it_but_for_variants(tmp_path, monkeypatch):
    runs = tmp_path / "runs.csv"
    runs.write_text("\n".join([f"{HEADER},fit_cpu_seconds,predict_cpu_seconds,left_out", *RUNS]))
    drawn = []
    monkeypatch.setattr(accuracy_picture, "draw", lambda *what: drawn.append(what))
    accuracy_picture.main(["--runs", str(runs), "--picture", str(tmp_path / "picture.png")])
    ((table, n_sets, path),) = drawn
    assert table["fit"].to_dict() == {"MMoE": 16.0, "HGB": 8.0}
    assert (n_sets, path) == (2, tmp_path / "picture.png")


def test_without_cpu_seconds_there_is_no_picture(tmp_path):
    runs = tmp_path / "runs.csv"
    runs.write_text("\n".join([HEADER, *(",".join(line.split(",")[:8]) for line in RUNS)]))
    with pytest.raises(SystemExit, match=r"runs.csv has no CPU seconds of all sets by anyone: run accuracy.py --fresh"):
        accuracy_picture.main(["--runs", str(runs)])
