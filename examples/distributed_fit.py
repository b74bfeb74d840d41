"""
One fit in several processes
============================

    torchrun --nproc-per-node=2 examples/distributed_fit.py

starts this script twice; each process reads rows of its own, and `fit` makes one model of the rows of both. Run by
`python`, it is an ordinary fit of all rows. To be seen: how many rows the model has seen and how many the process had,
that all processes end with the same model, and R2 on other rows.
"""

import os

from joblib import hash as digest

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.datasets import make_related_tasks
from sklearn_mmoe.metrics import task_scores

N_ROWS = 20_000


def main():
    # torchrun says which process this is. Here all rows are cut up; better still, each process reads a file of its own.
    rank, n_ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    X, y = make_related_tasks(N_ROWS + 1000, 20, correlation=0.5, random_state=0)
    X, X_test, y, y_test = X[rank:N_ROWS:n_ranks], X[N_ROWS:], y[rank:N_ROWS:n_ranks], y[N_ROWS:]

    model = MMoERegressor(n_members=1, batch_size=512, max_epochs=5, early_stopping=False, random_state=0)
    model.fit(X, y)

    weights = [parameter.detach().cpu().numpy() for parameter in model.module_.parameters()]
    print(f"process {rank}: {len(X)} rows of {model.n_samples_seen_}, weights {digest(weights)[:8]}", flush=True)
    if rank == 0:  # all could say the same
        for name, scores in task_scores(model, X_test, y_test).items():
            print(f"R2 of {name} on 1,000 other rows: {scores['r2']:.2f}")


if __name__ == "__main__":
    main()
