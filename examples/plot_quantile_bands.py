"""
Bands of quantiles: noise that grows
====================================

One feature, one target, five quantiles of it as five tasks of one network. To be seen in the picture: the bands open
from left to right as the noise does, and stay close to the dashed lines, the true quantiles.
"""

# %%
# A wave with normal noise whose standard deviation grows with the feature. As this is known, so are the true quantiles.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoEMultiTask
from sklearn_mmoe.tasks import Regression

QUANTILES = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


def centre(x):
    return np.sin(x)


def spread(x):
    return 0.1 + 0.1 * x


def make_data(n_rows, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, n_rows)
    return x[:, None], centre(x) + spread(x) * rng.normal(size=n_rows)


X, y = make_data(2000, seed=0)

# %%
# The column of the target stands five times in `y`, once for each quantile. The tasks share their experts; each has
# the pinball loss of its own quantile.

tasks = {f"q{100 * quantile:02.0f}": Regression(loss="quantile", quantile=quantile) for quantile in QUANTILES}
model = make_pipeline(
    StandardScaler(),
    MMoEMultiTask(tasks=tasks, n_members=1, batch_size=100, learning_rate=5e-3, max_epochs=50, random_state=0),
)
model.fit(X, np.column_stack([y] * len(tasks)))

grid = np.linspace(0, 10, 300)
predicted = model.predict(grid[:, None]).T
true = centre(grid) + spread(grid) * norm.ppf(QUANTILES)[:, None]

fig, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
ax.scatter(X[::2, 0], y[::2], s=4, color="0.6", linewidths=0)
ax.fill_between(grid, predicted[0], predicted[-1], color="tab:blue", alpha=0.2, label="5 % to 95 %")
ax.fill_between(grid, predicted[1], predicted[-2], color="tab:blue", alpha=0.4, label="25 % to 75 %")
ax.plot(grid, predicted[2], color="tab:blue", label="median")
ax.plot(grid, true.T, color="black", linestyle="--", linewidth=0.8, label=["true quantiles", *4 * ["_"]])
ax.set(xlabel="feature", ylabel="target", title="Five quantiles, five tasks of one network")
ax.legend(loc="upper left", ncols=4, frameon=False)
ax.set_ylim(top=4.5)
plt.show()

# %%
# How good are they? Of new rows, the share below each quantile should be the quantile itself, on the left, where the
# noise is small, as on the right. Nothing keeps the tasks from crossing; it is rare, and it is printed, too.

X_test, y_test = make_data(10_000, seed=1)
quantiles = model.predict(X_test)
below = y_test[:, None] <= quantiles
left = X_test[:, 0] < 5
print(f"{'quantile':<10}{'below, left':>12}{'below, right':>14}")
for t, quantile in enumerate(QUANTILES):
    print(f"{quantile:<10.2f}{below[left, t].mean():>12.3f}{below[~left, t].mean():>14.3f}")
print(f"rows in which two of them cross: {np.mean((np.diff(quantiles) < 0).any(axis=1)):.3f}")
