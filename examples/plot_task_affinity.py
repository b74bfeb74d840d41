"""
Which tasks go together
=======================

Six tasks are of two families: three depend on the first features, three on the last, and the columns of `y` have them
mixed. To be seen: the gradients of a family's tasks on the experts point the same way early in a fit, those of
different families stand at right angles, and the display puts the families beside each other. Gates show the same, but
far more faintly.
"""

# %%
# Within a family the tasks are mixtures of the same two functions, one with its sign turned.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.plot import TaskAffinityDisplay

rng = np.random.default_rng(0)
X = rng.normal(size=(3000, 6))


def family(a, b):
    wave, slope = np.sin(2 * a) * b, np.cos(b) + a * b
    return [wave + 0.3 * slope, -(wave + 0.1 * slope), wave + 0.6 * slope]


y = np.column_stack([*family(X[:, 0], X[:, 1]), *family(X[:, 3], X[:, 4])])
y = pd.DataFrame(y, columns=["first 1", "first 2", "first 3", "last 1", "last 2", "last 3"])
y = y[["first 1", "last 1", "first 2", "last 2", "first 3", "last 3"]] + 0.1 * rng.normal(size=y.shape)
train, test = slice(0, 2000), slice(2000, None)
options = {"n_members": 1, "n_experts": 4, "learning_rate": 5e-3, "batch_size": 128, "max_epochs": 30}
options["numeric_embeddings"] = None
options |= {"learning_rate_schedule": "constant", "early_stopping": False}  # so the first epochs are the same in both
early = MMoERegressor(**{**options, "max_epochs": 3}, random_state=0).fit(X[train], y[train])
model = MMoERegressor(**options, random_state=0).fit(X[train], y[train])
print(
    f"R2 on new rows: {early.score(X[test], y[test]):.2f} after 3 epochs, {model.score(X[test], y[test]):.2f} after 30"
)


def within_and_between(affinity):
    """Mean affinity of two tasks of one family, and of two families."""
    families = np.array([name.split()[0] for name in y])
    same = families[:, None] == families
    return affinity[same & ~np.eye(len(same), dtype=bool)].mean(), affinity[~same].mean()


# %%
# Cosines between the tasks' gradients on the experts: above 0 where a step for one task is a step for the other, too;
# about 0 where they do not meet; below 0 where each undoes what the other does. They are those of new rows here, in
# batches as large as those of the fit, and of a network that has been trained for three epochs.

display = TaskAffinityDisplay.from_estimator(early, X[test], y[test], kind="gradients", random_state=0)
print("gradients, 3 epochs:  within families {:.2f}, between {:.2f}".format(*within_and_between(display.affinity)))
print("drawn as", ", ".join(display.task_names[t] for t in display.order_))
plt.show()

# %%
# The second task of each family has its sign turned, and is no enemy for that: its tower turns the sign, and the
# experts have to learn the same thing. What is in conflict is told by gradients, not by the correlation of targets.

correlation = np.corrcoef(y["first 1"], y["first 2"])[0, 1]
print(f"first 1 and first 2: correlation {correlation:.2f}, cosine {display.affinity[0, 2]:.2f}")

# %%
# Why so early? At the end of a fit the gradients of all tasks sum to about nothing: those of a family, which are about
# the same units, must then cancel each other, and a negative cosine is no sign that the tasks do harm. Families are
# still at right angles to each other.

display = TaskAffinityDisplay.from_estimator(model, X[test], y[test], kind="gradients", order="given", random_state=0)
print("gradients, 30 epochs: within families {:.2f}, between {:.2f}".format(*within_and_between(display.affinity)))
plt.show()

# %%
# The overlap of gates is the share of weight that two tasks give to the same experts. It needs no labels, but says
# less: gates that nobody has trained overlap by much more than half, and four experts may serve all six tasks well
# without the gates parting. Read it against the other pairs of the same picture, not against 0.

for name, fitted in (("3 epochs", early), ("30 epochs", model)):
    display = TaskAffinityDisplay.from_estimator(fitted, X[test])
    print("gates, {}: within families {:.2f}, between {:.2f}".format(name, *within_and_between(display.affinity)))
    display.ax_.set_title(name)
plt.show()
