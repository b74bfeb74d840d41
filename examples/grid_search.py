"""
Grid search: the estimator's parameters, and the net's
======================================================

The estimators are searched as any other in scikit-learn, in a pipeline too. What is no parameter of the estimator can
be reached through `net_params`, a dict of skorch's double-underscore parameters: here, whether each expert's last layer
is linear. To be seen: a table of all candidates, the best first, and how the best does on rows that the search never
saw.
"""

from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.datasets import make_related_tasks

GRID = {
    "mmoe__n_experts": [1, 4],
    "mmoe__learning_rate": [1e-3, 1e-2],
    "mmoe__net_params": [None, {"module__final_expert_activation": False}],
}


def main():
    X, y = make_related_tasks(1500, 20, correlation=0.5, random_state=0)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

    few_epochs = {"max_epochs": 10, "learning_rate_schedule": "cosine"}  # which falls to 0 at the last one
    network = MMoERegressor(n_members=1, expert_layer_sizes=(32, 32), batch_size=64, **few_epochs, random_state=0)
    model = Pipeline([("scale", StandardScaler()), ("mmoe", network)])
    search = GridSearchCV(model, GRID, cv=2).fit(X_train, y_train)

    print("n_experts  learning_rate  net_params                                  R2")
    results = search.cv_results_
    for i in results["rank_test_score"].argsort(kind="stable"):
        values = results["params"][i]
        n_experts, learning_rate, net_params = (values[name] for name in GRID)
        print(f"{n_experts:<11}{learning_rate:<15}{net_params!s:<41}{results['mean_test_score'][i]:>6.3f}")

    print(f"\nbest: {search.best_params_}")
    print(f"R2 on {len(X_test)} other rows: {search.score(X_test, y_test):.3f}")


if __name__ == "__main__":
    main()
