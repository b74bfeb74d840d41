"""
Calibration: what class weights do to probabilities
===================================================

One class in twenty is rare. `class_weight="balanced"` makes the network find more of it, at the price of probabilities
that are far too high; `CalibratedClassifierCV` around the same estimator puts them right again, from rows that the
network did not train on. To be seen: the mean predicted probability beside the true share, log-loss and Brier score
(low is good), which suffer from the weights, and the area under the ROC curve, which is of ranks and does not.
"""

from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.metrics import brier_score_loss, log_loss, recall_score, roc_auc_score
from sklearn.model_selection import train_test_split

from sklearn_mmoe import MMoEClassifier


def make_model(**parameters):
    return MMoEClassifier(
        n_members=1,
        n_experts=4,
        expert_layer_sizes=(32,),
        learning_rate=3e-3,
        random_state=0,
        **parameters,
    )


def main():
    X, y = make_classification(8000, 20, n_informative=6, weights=[0.95], flip_y=0.02, class_sep=0.8, random_state=0)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)

    print(f"share of the rare class: {y_test.mean():.3f}\n")
    print(f"{'model':<24}{'mean p':>8}{'log-loss':>10}{'Brier':>8}{'recall':>8}{'ROC AUC':>9}")
    for name, model in {
        "plain": make_model(),
        "balanced": make_model(class_weight="balanced"),
        "balanced, calibrated": CalibratedClassifierCV(make_model(class_weight="balanced"), cv=3),
    }.items():
        p = model.fit(X_train, y_train).predict_proba(X_test)[:, 1]
        scores = [log_loss(y_test, p), brier_score_loss(y_test, p), recall_score(y_test, p > 0.5)]
        print(
            f"{name:<24}{p.mean():>8.3f}{scores[0]:>10.3f}{scores[1]:>8.3f}{scores[2]:>8.3f}"
            f"{roc_auc_score(y_test, p):>9.3f}"
        )


if __name__ == "__main__":
    main()
