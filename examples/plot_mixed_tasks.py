"""
Predictions of mixed tasks
==========================

One network predicts four things of a customer, each of another kind. To be seen in the pictures: a panel per task, of
the form that its kind is usually looked at in, each with its own score; then, whether the probabilities are right.
"""

# %%
# A table of customers, made up: age, income, home town, days since the last visit. The tasks are the amount spent
# (missing for those who bought nothing), the number of visits, whether something was sent back, and the plan chosen.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_mmoe import MMoEMultiTask, make_tabular_pipeline
from sklearn_mmoe.plot import PredictionDisplay

rng = np.random.default_rng(0)
N_ROWS, N_TRAIN = 3000, 2000
TOWNS = np.array(["Bath", "Hull", "Leeds", "York"])

X = pd.DataFrame(
    {
        "age": rng.integers(18, 80, N_ROWS),
        "income": rng.lognormal(10.3, 0.5, N_ROWS),
        "town": pd.Categorical(rng.choice(TOWNS, N_ROWS)),
        "days_since_visit": rng.exponential(30, N_ROWS),
    }
)
wealth = np.log(X["income"]) - 10.3
keen = 1 - X["days_since_visit"] / 40 + 0.8 * (X["town"] == "York") + 0.5 * wealth
spent = 60 + 40 * keen + 30 * wealth + rng.normal(0, 20, N_ROWS)
need = (X["age"] - 50) / 10 + wealth + rng.normal(0, 0.8, N_ROWS)
y = pd.DataFrame(
    {
        "spent": spent.where(spent > 0),
        "visits": rng.poisson(np.exp(0.7 * keen)),
        "returned": rng.random(N_ROWS) < 1 / (1 + np.exp(2 - 1.5 * keen + 0.05 * (X["age"] - 50))),
        "plan": np.array(["basic", "family", "senior"])[np.digitize(need, [-1, 1.2])],
    }
)

# %%
# The kinds are declared once. Missing labels stay missing: in training, in the scores and in the picture they leave
# out that cell alone.

tasks = {"spent": "regression", "visits": "count", "returned": "binary", "plan": "multiclass"}
model = make_tabular_pipeline(
    MMoEMultiTask(tasks=tasks, n_members=1, expert_layer_sizes=(32,), max_epochs=30, random_state=0)
)
model.fit(X[:N_TRAIN], y[:N_TRAIN])
X_test, y_test = X[N_TRAIN:], y[N_TRAIN:]

display = PredictionDisplay.from_estimator(model, X_test, y_test)
plt.show()

# %%
# Points near the diagonal are predicted well; so is a class whose row of the confusion matrix is dark on the diagonal
# only. The ROC curve tells how well those who return things are ranked. It does not tell whether the probabilities can
# be taken at their word: a calibration curve does, and here it follows the diagonal.

probability = model.predict_proba(X_test)["returned"]
PredictionDisplay.from_predictions(y_test["returned"], probability, binary="calibration")
plt.show()

# %%
# The data of the pictures is kept: the scores in the titles, and a display of scikit-learn for each task.

for name, scores, shown in zip(display.task_names, display.scores, display.displays, strict=True):
    ((score, value),) = scores.items()
    print(f"{name:<10}{score:<12}{value:>6.2f}   {type(shown).__name__}")

# %%
# In a notebook, a fitted estimator shows its tasks and the shape of its network. So does this page.

model[-1]
