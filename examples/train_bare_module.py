"""
The bare module, trained by hand
================================

For those who write their own training loop: `sklearn_mmoe.nn.MMoE` is a plain `torch.nn.Module`. Here it has the shape
of the textbook, with 4 experts, 3 binary tasks and experts whose last layer is linear. To be seen: the shapes, the loss
going down, and that the three tasks end up well above chance on rows that the training never saw.
"""

import torch
from torch import nn

from sklearn_mmoe.datasets import make_related_tasks
from sklearn_mmoe.nn import MMoE

BATCH = 64
EPOCHS = 3


def make_data():
    """Three yes-or-no questions about 128 features: is the first target, the second, their sum above 0?"""
    X, y = make_related_tasks(21_000, 128, correlation=0.8, random_state=0)
    X, y = torch.from_numpy(X).float(), torch.from_numpy(y).float()
    answers = (torch.stack([y[:, 0], y[:, 1], y.sum(dim=1)], dim=1) > 0).float()
    return X[:20_000], answers[:20_000], X[20_000:], answers[20_000:]


def main():
    torch.manual_seed(0)
    X, y, X_test, y_test = make_data()

    model = MMoE(
        n_features=128,
        task_outputs=[1, 1, 1],  # a logit per task
        n_experts=4,
        expert_layer_sizes=(64, 64),  # Linear(128, 64), ReLU, Linear(64, 64)
        final_expert_activation=False,
        tower_layer_sizes=(32,),  # Linear(64, 32), ReLU, Linear(32, 1)
    )
    loss_function = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    print("features", tuple(X[:BATCH].shape), "-> logits", tuple(model(X[:BATCH]).shape))
    print("gates", tuple(model.gate_weights(X[:BATCH]).shape), "\n")
    for epoch in range(1, EPOCHS + 1):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(X)).split(BATCH):
            loss = loss_function(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        print(f"epoch {epoch}: mean loss {total / len(X):.3f}")

    model.eval()
    with torch.inference_mode():
        right = ((model(X_test) > 0) == y_test.bool()).float().mean(dim=0)
        gates = model.gate_weights(X_test).mean(dim=0)
    print("\ntask   right   most common answer   mean gate weights")
    for task in range(3):
        share = y_test[:, task].mean().item()
        weights = "  ".join(f"{weight:.2f}" for weight in gates[task])
        print(f"{task:<7}{right[task]:.3f}   {max(share, 1 - share):.3f}                {weights}")


if __name__ == "__main__":
    main()
