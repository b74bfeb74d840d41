"""
A scarce task: what its other task is worth
===========================================

Two regressions; of the second, more and more labels are missing. To be seen in the picture: with half of its labels or
a fifth of them, it makes little difference how the scarce task is learned. With one in twenty, one network for both
tasks is ahead where they are related (left), and dropping the incomplete rows is worst of all. Where the tasks have
nothing in common (right), hardly anything is gained.
"""

# %%
# Both tasks are sines of a linear function of the features. On the left it is nearly the same function, on the right
# the two have nothing to do with each other. The first task always has all of its labels.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import r2_score

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.datasets import make_related_tasks

N_TRAIN, N_TEST = 800, 2000
SEEDS = (2, 3)  # functions of middling difficulty: a linear model explains four fifths of them
N_STEPS, BATCH_SIZE = 100, 64
MISSING = np.array([0.0, 0.5, 0.8, 0.95])
CORRELATIONS = {"related tasks": 0.98, "unrelated tasks": 0.0}
WAYS = ["one network, every label", "one network, incomplete rows dropped", "a network for the scarce task alone"]


def fit(X, y):
    """Every network takes about as many steps, however few its rows are."""
    model = MMoERegressor(
        numeric_embeddings=None,
        n_members=1,
        n_experts=2,
        expert_layer_sizes=(32,),
        tower_layer_sizes=(16,),
        learning_rate=1e-2,
        batch_size=BATCH_SIZE,
        max_epochs=round(N_STEPS / np.ceil(len(X) / BATCH_SIZE)),
        random_state=0,
    )
    return model.fit(X, y)


def scores(correlation, missing, seed):
    """Test R2 of the scarce task, learned in each of the ways."""
    X, y = make_related_tasks(N_TRAIN + N_TEST, 10, correlation=correlation, n_sines=3, random_state=seed)
    X_test, y_test = X[N_TRAIN:], y[N_TRAIN:, 1]
    X, y = X[:N_TRAIN], y[:N_TRAIN].copy()
    has = np.arange(N_TRAIN) >= round(missing * N_TRAIN)  # the rows have no order: any will do
    y[~has, 1] = np.nan
    every, dropped, alone = fit(X, y), fit(X[has], y[has]), fit(X[has], y[has, 1])
    predictions = [every.predict(X_test)[:, 1], dropped.predict(X_test)[:, 1], alone.predict(X_test)]
    return [r2_score(y_test, predicted) for predicted in predictions]


# %%
# Two seeds (the small marks) and their mean.

r2 = {
    name: np.array([[scores(correlation, missing, seed) for seed in SEEDS] for missing in MISSING])
    for name, correlation in CORRELATIONS.items()
}

fig, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
left = np.arange(len(MISSING))
for ax, (name, found) in zip(axes, r2.items(), strict=True):
    for way, style in zip(range(len(WAYS)), ["o-", "^:", "s--"], strict=True):
        (line,) = ax.plot(left, found[:, :, way].mean(axis=1), style, label=WAYS[way])
        ax.plot(left, found[:, :, way], style[0], color=line.get_color(), markersize=3, alpha=0.4)
    ax.set(title=name, xlabel="labels of the scarce task that are missing")
    ax.set_xticks(left, [f"{missing:.0%}" for missing in MISSING])
axes[0].set(ylabel="test R2 of the scarce task")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
plt.show()

# %%
# In numbers, means over the seeds:

for name, found in r2.items():
    print(f"{name:<40}" + "".join(f"{missing:>8.0%}" for missing in MISSING))
    for way, means in zip(WAYS, found.mean(axis=1).T, strict=True):
        print(f"  {way:<38}" + "".join(f"{mean:>8.3f}" for mean in means))

# %%
# Sharing pays where labels are few and the tasks related. Elsewhere a network for the scarce task alone is as good:
# :func:`sklearn_mmoe.metrics.transfer_report` finds out which case yours is.
