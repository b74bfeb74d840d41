"""
Categories: who is shown what
=============================

Readers are shown articles. Two tasks: is an article clicked, and if so, for how many minutes is it read (no label
without a click)? Nearly all that matters is who the reader is and which article it is, two categorical columns. To be
seen: the scores on test rows of the network without these columns, with their one-hot columns (a sparse matrix), and
with embeddings, which `MMoEMultiTask` makes of them when the data frame says that they are categories. A new reader is
no error: it has the embedding of the unknown.
"""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sklearn_mmoe import MMoEMultiTask
from sklearn_mmoe.metrics import task_scores

N_ROWS, N_TEST, N_READERS, N_ARTICLES, N_TOPICS = 15_000, 3_000, 100, 80, 4


def make_views(seed=0):
    """Every reader likes some topics, every article has one; a click needs a topic that the reader likes."""
    rng = np.random.default_rng(seed)
    likes = rng.normal(size=(N_READERS, N_TOPICS))
    topic, length = rng.integers(N_TOPICS, size=N_ARTICLES), rng.gamma(4.0, 1.0, size=N_ARTICLES)
    reader, article = rng.integers(N_READERS, size=N_ROWS), rng.integers(N_ARTICLES, size=N_ROWS)
    interest = 2 * likes[reader, topic[article]]
    X = pd.DataFrame(
        {
            "reader": pd.Series(reader).map("r{:03d}".format).astype("category"),
            "article": pd.Series(article).map("a{:03d}".format).astype("category"),
            "hour": rng.uniform(-1, 1, size=N_ROWS),
        }
    )
    clicked = interest + 0.5 * X["hour"] + rng.logistic(scale=0.3, size=N_ROWS) > 0.5
    minutes = length[article] * rng.uniform(0.5, 1.5, size=N_ROWS)
    return X, pd.DataFrame({"clicked": clicked, "minutes": np.where(clicked, minutes, np.nan)})


def make_model(**parameters):
    return MMoEMultiTask(
        n_members=1,
        tasks={"clicked": "binary", "minutes": "regression"},
        n_experts=4,
        learning_rate=5e-3,
        random_state=0,
        **parameters,
    )


def main():
    X, y = make_views()
    train, test = X.index < N_ROWS - N_TEST, X.index >= N_ROWS - N_TEST
    one_hot = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["reader", "article"]), remainder="passthrough", sparse_threshold=1
    )
    models = {
        "no categories": (make_model(), ["hour"]),
        "one-hot, sparse": (make_pipeline(one_hot, make_model()), list(X)),
        "embeddings": (make_model(), list(X)),
    }
    print(f"{'':<16}{'AUC of clicked':>16}{'R2 of minutes':>16}")
    for name, (model, columns) in models.items():
        scores = task_scores(model.fit(X.loc[train, columns], y[train]), X.loc[test, columns], y[test])
        print(f"{name:<16}{scores['clicked']['roc_auc']:>16.3f}{scores['minutes']['r2']:>16.3f}")

    model = models["embeddings"][0]
    print("\ncategories:", {name: len(own) for name, own in model.categories_.items()})
    print("width of both embeddings together:", model.module_.embeddings.width)
    new = X[test][:1].assign(reader="r999")
    print(f"a new reader clicks with probability {model.predict_proba(new)['clicked'][0, 1]:.2f}")


if __name__ == "__main__":
    main()
