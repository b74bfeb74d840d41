"""Scores task by task: for searches, for tables, and for the question whether the tasks help each other."""

from sklearn_mmoe._common.public import belong_to
from sklearn_mmoe.metrics._groups import task_groups
from sklearn_mmoe.metrics._scorers import make_task_scorer, multi_task_scoring
from sklearn_mmoe.metrics._task_scores import task_scores
from sklearn_mmoe.metrics._transfer import transfer_report

__all__ = ["make_task_scorer", "multi_task_scoring", "task_groups", "task_scores", "transfer_report"]

belong_to(__name__, make_task_scorer, multi_task_scoring, task_groups, task_scores, transfer_report)
