"""
Regression: several targets, or one
===================================

`MMoERegressor` on two small sets that come with scikit-learn, beside ridge regression: Linnerud (20 middle-aged men:
three exercises, from which to predict weight, waist and pulse, all three at once) and diabetes (442 patients, one
target). To be seen: R2 of cross-validated predictions, so 0 is what the mean would give. On so few and
noisy rows there is little to learn: on Linnerud nothing beats the mean, on diabetes the network does as well as ridge.
"""

import numpy as np
from sklearn.datasets import load_diabetes, load_linnerud
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoERegressor


def compare(title, data):
    """Print R2 of each target, for both models."""
    network = MMoERegressor(
        n_experts=4,
        expert_layer_sizes=(16,),
        tower_layer_sizes=(),
        activation="tanh",
        batch_size=32,
        weight_decay=1.0,
        random_state=0,
    )
    models = {"ridge": RidgeCV(np.logspace(-2, 3, 11)), "MMoE": network}
    print(f"\n{title}: {data.data.shape[0]} rows, {data.data.shape[1]} features")
    print(f"{'target':<12}" + "".join(f"{name:>10}" for name in models))
    scores = []
    for model in models.values():
        folds = KFold(3, shuffle=True, random_state=0)
        predicted = cross_val_predict(make_pipeline(StandardScaler(), model), data.data, data.target, cv=folds)
        scores.append(r2_score(data.target, predicted, multioutput="raw_values"))
    names = data.get("target_names", ["progression"])
    for name, row in zip(names, np.transpose(scores), strict=True):
        print(f"{name:<12}" + "".join(f"{score:>10.2f}" for score in row))


def main():
    compare("Linnerud", load_linnerud())
    compare("Diabetes", load_diabetes())

    # Several regressions at once come back as they went in: (n, T) in, (n, T) out; a 1-D y gives 1-D predictions.
    X, y = load_linnerud(return_X_y=True)
    model = make_pipeline(StandardScaler(), MMoERegressor(random_state=0)).fit(X, y)
    gates = model[-1].gate_weights(model[:-1].transform(X))
    print(f"\npredictions of shape {model.predict(X).shape}, gate weights of shape {gates.shape}")


if __name__ == "__main__":
    main()
