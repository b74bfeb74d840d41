"""
What the members of an ensemble bring
=====================================

`n_members` networks are trained at once, as one batch of matrix products, and their answers averaged. To be seen in
the picture: several members are better than one, and the first few of them bring most of it. The default is 4; what it
costs is printed.
"""

# %%
# Two related regressions, few rows for their noise. Every member starts from weights of its own. All train for the same
# number of epochs here, so that nothing but the averaging differs; by default, members of so few rows are each stopped
# by a fold of their own, which a single network cannot be.

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import root_mean_squared_error

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.datasets import make_related_tasks

N_TRAIN, N_TEST = 400, 2000
MEMBERS, SEEDS = np.array([1, 2, 4, 8]), range(3)

X, y = make_related_tasks(N_TRAIN + N_TEST, 10, correlation=0.8, n_sines=3, noise=0.5, random_state=2)
errors, seconds = np.empty((2, len(SEEDS), len(MEMBERS)))
for i, seed in enumerate(SEEDS):
    for j, n_members in enumerate(MEMBERS):
        model = MMoERegressor(
            n_members=int(n_members), expert_layer_sizes=(32,), max_epochs=20, early_stopping=False, random_state=seed
        )
        start = perf_counter()
        model.fit(X[:N_TRAIN], y[:N_TRAIN])
        seconds[i, j] = perf_counter() - start
        errors[i, j] = root_mean_squared_error(y[N_TRAIN:], model.predict(X[N_TRAIN:]))

# %%
# Each thin line is one seed of the networks; the thick one is their mean. The error cannot fall below the noise, here
# 0.5.

fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
ax.plot(MEMBERS, errors.T, color="tab:blue", alpha=0.3, linewidth=1, label=["one seed", *["_"] * (len(SEEDS) - 1)])
ax.plot(MEMBERS, errors.mean(axis=0), "o-", color="tab:blue", linewidth=2, label="mean")
ax.set_xscale("log", base=2)
ax.set_xticks(MEMBERS, [str(n_members) for n_members in MEMBERS])
ax.set(xlabel="n_members", ylabel="test error (RMSE, mean of two tasks)", title="One network, and the mean of several")
ax.legend(frameon=False)
plt.show()

# %%
# The members are trained together, so eight of them take less than eight times as long as one; how much less depends on
# the machine. Between two and eight, so few seeds say little about which is best.

print(f"{'members':<10}{'RMSE':>8}{'better than one in':>22}{'seconds':>10}")
for j, n_members in enumerate(MEMBERS):
    better = int((errors[:, j] < errors[:, 0]).sum())
    print(f"{n_members:<10}{errors[:, j].mean():>8.3f}{better:>13} of {len(SEEDS)} seeds{seconds[:, j].mean():>10.2f}")
