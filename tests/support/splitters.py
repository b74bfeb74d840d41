"""A splitter of every kind that scikit-learn has."""

from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    LeavePGroupsOut,
    LeavePOut,
    PredefinedSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
)

SPLITTERS_OF_ALL_KINDS = [
    *(GroupKFold(2), GroupShuffleSplit(1, test_size=0.3, random_state=0), KFold(2, shuffle=True, random_state=1)),
    *(LeaveOneGroupOut(), LeaveOneOut(), LeavePGroupsOut(2), LeavePOut(2), PredefinedSplit([0, 1] * 30)),
    *(RepeatedKFold(n_splits=3, n_repeats=2), RepeatedStratifiedKFold(n_splits=2), ShuffleSplit(1, train_size=5)),
    *(StratifiedGroupKFold(2), StratifiedKFold(2), StratifiedShuffleSplit(1), TimeSeriesSplit(2, gap=1)),
]
