"""
What embeddings learn
=====================

The hour of the day comes as a category, a word without an order. Two tasks depend on it: how many people use a bicycle
and how warm it is. To be seen in the picture: the hours lie in a ring. Nobody said that 23 o'clock is next to midnight,
but both tasks treat neighbours alike, and what is treated alike gets similar embeddings.
"""

# %%
# The network gets the hours as strings. A random third of the labels of each task is missing.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from sklearn_mmoe import MMoERegressor

rng = np.random.default_rng(0)
hour, wind = rng.integers(24, size=4000), rng.normal(size=4000)
X = pd.DataFrame({"hour": pd.Series(hour).map("h{:02d}".format).astype("category"), "wind": wind})
angle = 2 * np.pi * hour / 24
y = pd.DataFrame(
    {
        "riders": 1.5 * np.cos(angle - 4) - 0.3 * wind + rng.normal(scale=0.3, size=len(X)),
        "degrees": 15 + 6 * np.cos(angle - 2.5) - wind + rng.normal(scale=1.0, size=len(X)),
    }
).mask(rng.random((len(X), 2)) < 1 / 3)
model = MMoERegressor(numeric_embeddings=None, n_members=1, learning_rate=5e-3, max_epochs=25, random_state=0).fit(X, y)
print(f"R2 on the training rows, mean of both tasks: {model.score(X, y):.2f}")

# %%
# The embeddings are parameters of the torch module. Row 0 is for a missing or unknown category; the others stand in
# the order of `categories_`.
(table,) = model.module_.embeddings.tables
vectors = table.embedding.weight.detach().numpy()[1:]
plane = PCA(2).fit(vectors)
x, height = plane.transform(vectors).T
print(f"{len(vectors)} hours, {vectors.shape[1]} numbers each; {plane.explained_variance_ratio_.sum():.0%} in a plane")

fig, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
ax.plot(np.append(x, x[0]), np.append(height, height[0]), color="0.8", zorder=1)
ax.scatter(x, height, s=420, color="white", edgecolor=plt.get_cmap("hsv")(np.arange(24) / 24), linewidth=3, zorder=2)
for name, *place in zip(model.categories_["hour"], x, height, strict=True):
    ax.annotate(name[1:], place, ha="center", va="center", fontsize=9)
ax.set(xlabel="first principal component", ylabel="second", title="Embeddings of the hours of the day")
ax.set_aspect("equal")
ax.margins(0.12)
plt.show()

# %%
# How near is an hour to the next one, and to the one twelve hours away?
steps = np.linalg.norm(vectors - np.roll(vectors, 1, axis=0), axis=1)
across = np.linalg.norm(vectors - np.roll(vectors, 12, axis=0), axis=1)
print(f"mean distance to the next hour {steps.mean():.2f}, to the opposite one {across.mean():.2f}")
