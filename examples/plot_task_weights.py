"""
What task weights trade
=======================

Two unrelated tasks share an expert of four units, which is too little for both. To be seen in the picture:
`task_weights` moves the network along a front, and what one task gains costs the other. "dwa" stays at equal weights
here, since both losses fall alike; "uncertainty", whose weights grow while the losses fall, ends beyond the front. With
room for both tasks, the front shrinks into the corner that is best for both, and weights matter little.
"""

# %%
# Five narrow networks for five weights, three wide ones for three of these, and one for each scheme that chooses
# weights by itself.

import matplotlib.pyplot as plt
import numpy as np

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.datasets import make_related_tasks
from sklearn_mmoe.metrics import task_scores

X, y = make_related_tasks(3000, 5, correlation=0.0, n_sines=1, random_state=1)
train, test = slice(0, 2000), slice(2000, None)


def r2_of_both(units, task_weights):
    """R2 of both tasks on the test rows, with one expert that has this many units."""
    model = MMoERegressor(
        numeric_embeddings=None,
        n_experts=1,
        expert_layer_sizes=(units,),
        tower_layer_sizes=(16,),
        activation="tanh",
        learning_rate=0.02,
        batch_size=200,
        max_epochs=30,
        early_stopping=False,
        task_weights=task_weights,
        random_state=0,
    ).fit(X[train], y[train])
    return [scores["r2"] for scores in task_scores(model, X[test], y[test]).values()]


ratios = np.geomspace(1 / 30, 30, 5)
ratios_of = {4: ratios, 32: ratios[::2]}
fronts = {units: np.array([r2_of_both(units, [ratio, 1]) for ratio in own]) for units, own in ratios_of.items()}
schemes = {scheme: r2_of_both(4, scheme) for scheme in ("uncertainty", "dwa")}

print(f"{'weights':<14}{'first':>8}{'second':>8}{'mean':>8}")
for ratio, scores in zip(ratios, fronts[4], strict=True):
    print(f"{f'{ratio:.2f} : 1':<14}{scores[0]:>8.3f}{scores[1]:>8.3f}{np.mean(scores):>8.3f}")
for scheme, scores in schemes.items():
    print(f"{scheme:<14}{scores[0]:>8.3f}{scores[1]:>8.3f}{np.mean(scores):>8.3f}")

# %%
# The wide network has room for both tasks: its points lie close together, near the corner that is best for both.
fig, ax = plt.subplots(figsize=(6, 5), layout="constrained")
for (units, scores), marker in zip(fronts.items(), "os", strict=True):
    ax.plot(*scores.T, color="0.7", zorder=1)
    colours = {"c": np.log10(ratios_of[units]), "cmap": "coolwarm"}  # each front reaches from one end to the other
    points = ax.scatter(*scores.T, marker=marker, label=f"{units} units", zorder=2, **colours)
for (scheme, scores), marker in zip(schemes.items(), "P*", strict=True):
    ax.scatter(*scores, color="black", marker=marker, s=90, label=f'4 units, "{scheme}"', zorder=3)
bar = fig.colorbar(points, label="weight of the first task : weight of the second")
bar.set_ticks([-1, 0, 1], labels=["1 : 10", "1 : 1", "10 : 1"])
ax.set(xlabel="R2 of the first task", ylabel="R2 of the second task", title="Fronts of a narrow and a wide network")
ax.legend(loc="lower left")
plt.show()
