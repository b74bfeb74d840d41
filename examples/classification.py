"""
Classification: three questions about a digit
=============================================

One network looks at 8 x 8 pixels and answers three questions at once: which digit is it (10 classes), is it odd or
even, is it above four? Each task has classes of its own, here of three types, and they come back as they went in. To be
seen: the share of right answers of each task beside that of a forest per task, and three rows of predictions.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_mmoe import MMoEClassifier


def make_targets(digit):
    """Integers, strings and booleans side by side: an array of objects keeps each label's type."""
    columns = [digit.tolist(), np.where(digit % 2, "odd", "even").tolist(), (digit > 4).tolist()]
    return np.array(list(zip(*columns, strict=True)), dtype=object)


def main():
    X, digit = load_digits(return_X_y=True)
    y = make_targets(digit)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=digit)

    model = make_pipeline(MinMaxScaler(), MMoEClassifier(n_experts=4, batch_size=64, gate_balance=0.1, random_state=0))
    model.fit(X_train, y_train)
    predicted = model.predict(X_test)

    forest = MultiOutputClassifier(RandomForestClassifier(random_state=0))
    codes = np.column_stack([np.unique(column, return_inverse=True)[1] for column in y.T])  # it takes numbers only
    codes_train, codes_test = train_test_split(codes, random_state=0, stratify=digit)
    forest_predicted = forest.fit(X_train, codes_train).predict(X_test)

    print(f"{'task':<14}{'classes':<10}{'forests':>10}{'MMoE':>10}")
    for t, name in enumerate(["which digit", "odd or even", "above four"]):
        classes = len(model.classes_[t])
        right = [np.mean(forest_predicted[:, t] == codes_test[:, t]), np.mean(predicted[:, t] == y_test[:, t])]
        print(f"{name:<14}{classes:<10}" + "".join(f"{share:>10.3f}" for share in right))
    both = [forest.score(X_test, codes_test), model.score(X_test, y_test)]
    print(f"{'all three':<24}" + "".join(f"{share:>10.3f}" for share in both))

    print("\npredicted, and the probability of that answer:")
    probabilities = model.predict_proba(X_test[:3])
    for row in range(3):
        answers = [f"{predicted[row, t]} ({probabilities[t][row].max():.2f})" for t in range(3)]
        print("  " + ",  ".join(answers))


if __name__ == "__main__":
    main()
