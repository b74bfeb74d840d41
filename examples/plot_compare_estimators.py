"""
Comparing estimators, task by task
==================================

One network for ten targets, beside ridge regression and gradient-boosted trees, which learn each target by itself. The
data is scikit-learn's breast cancer set, 569 images of cell nuclei: from the means of ten measurements over the nuclei
of an image, predict the largest values of the same ten. To be seen: R2 over three folds. The network is a little ahead,
on most tasks within the whiskers, and ridge, which takes next to no time, is close behind.
"""

# %%
# A scorer per task, and its mean over the folds. :func:`~sklearn_mmoe.metrics.multi_task_scoring` scores estimators of
# scikit-learn, too; here it takes R2 of each column of `y`, and "mean", the mean over all.

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_validate
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.metrics import multi_task_scoring
from sklearn_mmoe.plot import TaskScoresDisplay

data = load_breast_cancer(as_frame=True).data
X, y = data.filter(regex="^mean"), data.filter(regex="^worst")

trees = HistGradientBoostingRegressor(max_iter=40, max_leaf_nodes=6, random_state=0)
few_epochs = {
    "numeric_embeddings": None,
    "max_epochs": 25,
    "learning_rate_schedule": "cosine",
}  # which falls to 0 at the last one
network = MMoERegressor(n_experts=2, expert_layer_sizes=(32,), learning_rate=1e-2, **few_epochs, random_state=0)
models = {
    "MMoE": make_pipeline(StandardScaler(), network),
    "ridge": make_pipeline(StandardScaler(), RidgeCV()),
    "boosted trees": MultiOutputRegressor(trees),
}
folds = KFold(3, shuffle=True, random_state=0)
results = {name: cross_validate(model, X, y, cv=folds, scoring=multi_task_scoring(y)) for name, model in models.items()}
for name, result in results.items():
    print(f"{name:<14} mean R2 {result['test_mean'].mean():.3f}, {result['fit_time'].mean():.1f} s per fit")
best = [max(results, key=lambda name: results[name][f"test_{task}"].mean()) for task in y]
print("tasks won:", ", ".join(f"{name} {best.count(name)}" for name in models))

# %%
# Dots are means over the folds, whiskers standard errors. The folds share rows to train on, so whiskers tend to be too
# short; and as all estimators saw the same folds, what they have in common moves their dots together.
TaskScoresDisplay.from_cv_results(results, score_name="R2")
plt.show()
