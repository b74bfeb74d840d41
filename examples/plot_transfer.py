"""
Transfer: tasks that help and tasks that hurt
=============================================

Does learning together help? :func:`~sklearn_mmoe.metrics.transfer_report` fits a model of all tasks and one per task,
on the same folds; the picture shows the difference. To be seen: of three tasks that share a function and have few
labels, two gain a lot and one neither gains nor loses; a task that has nothing in common with them loses.
"""

# %%
# Three sensors measure the same quantity, each on rows of its own, a fifth of all; a fourth task is about something
# else, and has all its labels. They share a single expert of few units.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.metrics import transfer_report
from sklearn_mmoe.plot import TaskScoresDisplay

rng = np.random.default_rng(0)
X = rng.normal(size=(800, 10))
quantity = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]
y = pd.DataFrame({f"sensor {s}": quantity + 0.5 * rng.normal(size=800) for s in "ABC"})
y = y.mask(rng.random(y.shape) > 0.2)
y["something else"] = X[:, 3] * X[:, 4] + np.sin(2 * X[:, 5]) + 0.5 * rng.normal(size=800)

model = MMoERegressor(
    numeric_embeddings=None,  # the network is small on purpose: what tasks share has to fit in
    n_members=1,
    n_experts=1,
    expert_layer_sizes=(8,),
    tower_layer_sizes=(),
    learning_rate=0.02,
    batch_size=80,
    max_epochs=30,
    early_stopping=False,
    random_state=0,
)
report = transfer_report(model, X, y, cv=5)
print(pd.DataFrame(report).round(3).to_string(index=False))

# %%
# R2 of the shared network beside that of one network per task.
TaskScoresDisplay.from_report(report, score_name="R2")
plt.show()

# %%
# The gain is the difference, and only of that the folds tell how sure it is. Right of the line, the other tasks help.
TaskScoresDisplay.from_report(report, show="gain", score_name="R2")
plt.show()
