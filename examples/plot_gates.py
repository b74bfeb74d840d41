"""
Which experts a task listens to, and when
=========================================

Each task weighs the experts by a gate of its own, row by row. Here a shop's customers are of two sorts, and what they
spend is one matter for the young and another for the old; visits have nothing to do with either. To be seen: in the
mean over all rows the gates look undecided; told apart by age, they choose different experts for young and old.
"""

# %%
# Three tasks on the same features: `spending` and `basket` change their nature at the age of 50, `visits` does not.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.plot import GateDisplay

rng = np.random.default_rng(0)
n_rows = 3000
X = pd.DataFrame(rng.normal(size=(n_rows, 4)), columns=["income", "distance", "stock", "season"])
X["age"] = rng.uniform(-1, 1, size=n_rows)  # -1 for 20 years, 1 for 80
old = X["age"] > 0
y = pd.DataFrame(
    {
        "spending": np.where(old, np.sin(2 * X["income"]), X["distance"] * X["stock"]),
        "basket": np.where(old, np.cos(2 * X["income"]), X["distance"] * X["stock"] + X["stock"]),
        "visits": np.sin(2 * X["season"]) + X["distance"],
    }
)
y += 0.1 * rng.normal(size=y.shape)
train, test = slice(0, 2000), slice(2000, None)
options = {"n_experts": 4, "expert_layer_sizes": (16,)}  # too small to serve all tasks: gates have to choose
options |= {"learning_rate": 5e-3, "batch_size": 128, "random_state": 0}
model = MMoERegressor(n_members=1, **options).fit(X[train], y[train])
print(f"R2 on new rows: {model.score(X[test], y[test]):.3f}")

# %%
# The mean weight of each expert, in percent. The orange line in the colour bar is the weight that all experts would
# have if the gates did not choose at all.

display = GateDisplay.from_estimator(model, X[test])
plt.show()

# %%
# The same by groups of rows: `group` names a column of X, or gives a value for each row. Both tasks that depend on age
# move their weight from one set of experts to another; `visits` moves far less.

age = np.where(X["age"][test] > 0, "over 50", "under 50")
display = GateDisplay.from_estimator(model, X[test], group=pd.Series(age, name="age"))
gates = model.gate_weights(X[test])
moved = np.abs(gates[age == "over 50"].mean(axis=0) - gates[age == "under 50"].mean(axis=0)).sum(axis=1) / 2
for name, share in zip(model.task_names_, moved, strict=True):
    print(f"{name:<9} moves {share:.2f} of its weight with age")
plt.show()

# %%
# How far single rows are from the mean: boxes from quartile to quartile, whiskers from the 5th to the 95th percentile.
# The taller a box, the more the weight of that expert depends on the row.

display.groups = None
display.plot(kind="distribution")
plt.show()

# %%
# An ensemble, the default of the estimators, has experts of its own in each member. They are numbered member by
# member, and bear no relation to each other: expert 0 of one member need not do what expert 0 of the next does.

ensemble = MMoERegressor(n_members=3, **options).fit(X[train], y[train])
GateDisplay.from_estimator(ensemble, X[test])
plt.show()
