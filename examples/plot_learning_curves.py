"""
Learning curves: when to stop, and for which task
=================================================

Two tasks in one network: one takes long to learn, the other is mostly noise and soon learned by heart. To be seen: the
validation loss of the noisy task rises while that of the other still falls, and the epoch that is kept comes too early
for the slow one. Then the slow task alone decides; and last, task weights are learned: the noisy task loses weight.
"""

# %%
# The loss of each task
# ---------------------
# A tenth of the rows is set aside. After every epoch their loss is taken, and the epoch with the lowest mean over the
# tasks is kept: the dotted line. The learning rate is constant here, so that what is seen is the epochs alone.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.plot import LearningCurveDisplay

rng = np.random.default_rng(0)
X = rng.normal(size=(1200, 10))
slow = np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2]
noisy = X[:, 3] + 3 * rng.normal(size=1200)
y = pd.DataFrame({"slow": slow, "noisy": noisy})

model = MMoERegressor(
    numeric_embeddings=None,
    n_members=1,
    n_experts=4,
    learning_rate=5e-3,
    batch_size=64,
    learning_rate_schedule="constant",
    n_iter_no_change=15,
    early_stopping=True,
    random_state=0,
)
model.fit(X, y)


def print_best_epochs(model):
    """Print when each task would rather have stopped."""
    for task in model.task_names_:
        losses = [row["valid_losses"][task] for row in model.history_]
        kept = losses[model.best_epochs_[0] - 1]
        print(f"{task:<6} best epoch {np.argmin(losses) + 1:>2}, loss {min(losses):.3f}; kept: {kept:.3f}")
    print(f"kept: epoch {model.best_epochs_[0]} of {model.n_iter_}")


print_best_epochs(model)
LearningCurveDisplay.from_estimator(model)
plt.show()

# %%
# One task decides
# ----------------
# If the slow task is what you are after, let it decide when to stop. What is watched then has a panel of its own: minus
# the loss of the slow task, greater is better.
model.set_params(monitor="slow").fit(X, y)
print_best_epochs(model)
LearningCurveDisplay.from_estimator(model)
plt.show()

# %%
# Learned task weights
# --------------------
# With `task_weights="uncertainty"` a task weighs as much as the inverse of its loss. The weights are below. Training
# then minimises a weighted loss, which is not to be measured against the validation loss: that is the plain mean. The
# noisy task loses weight epoch by epoch, but by then it is learned by heart: the epoch that is kept comes no later.
model.set_params(monitor="mean", task_weights="uncertainty").fit(X, y)
first, *_, last = model.history_
for task in model.task_names_:
    print(f"weight of {task}: {first['task_weights'][task]:.2f} at first, {last['task_weights'][task]:.2f} at last")
print_best_epochs(model)
LearningCurveDisplay.from_estimator(model)
plt.show()
