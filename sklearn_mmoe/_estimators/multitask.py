"""The estimator for tasks of different kinds: its parameters, and what they say of the tasks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import StrOptions
from torch import nn

from sklearn_mmoe._common.names import by_index, index_of
from sklearn_mmoe._common.types import Splitter
from sklearn_mmoe._common.words import shown
from sklearn_mmoe._estimators.answers import MixedAnswers
from sklearn_mmoe._estimators.base import BaseMMoE
from sklearn_mmoe.tasks._declared import Task, as_tasks
from sklearn_mmoe.tasks._fitted import FittedClassification
from sklearn_mmoe.tasks._validation import Targets


class MMoEMultiTask(MixedAnswers, BaseMMoE):
    """Multi-gate Mixture-of-Experts for several tasks of different kinds.

    Experts are networks that all tasks share; every task has its own softmax gate over them and its own tower [1]_.
    Every task is declared to be a regression, a count, a positive number or a classification; labels may be missing.

    Parameters
    ----------
    tasks : mapping, sequence or "auto", default="auto"
        What each column of `y` is: a mapping of task name to declaration, or declarations in the order of the columns.
        A declaration is one of the strings "regression", "count", "positive", "binary", "multiclass", "ordinal" or an
        object of `sklearn_mmoe.tasks`. "auto" takes floats as regressions and booleans, strings and categoricals
        as classifications, and refuses anything else.
    categorical_features : "from_dtype", array-like of str, int or bool, or None, default="from_dtype"
        Which features are categories, as a list of names (of a data frame), of indices, or a mask. "from_dtype" takes
        those of a data frame that are categorical, Enum, strings or objects with strings among them; booleans stay
        numbers. Each category gets a learned vector, an embedding, ``min(50, round(1.6 * n_categories ** 0.56))``
        numbers wide. A missing category, or one that `fit` has not seen, has a vector of its own that begins at zero.
    numeric_embeddings : {"auto", "linear", "periodic", "piecewise"}, callable or None, default="auto"
        What the experts read of each number: "linear", itself on a common scale, which `fit` finds; "piecewise", beside
        that learned functions of it, which bend at its quantiles [6]_; "periodic", beside that learned functions of
        cosines of it [6]_. With these, NaN is a missing number. "auto" is "piecewise" for up to 100 numbers, "linear"
        for more, and None where `X` is sparse. A callable makes a module of its own kind, such as
        :class:`sklearn_mmoe.nn.PiecewiseEmbeddings`. None: numbers as they are.
    linear_part : bool, default=True
        Whether predictions of tasks with a squared or a Huber loss become a mean of those of the network and of a ridge
        regression, in the shares that leave the least squared error on held-out rows [8]_. It takes such rows, and
        `numeric_embeddings` other than None or a callable, which a sparse `X` does not have.
    n_members : int, default=4
        Number of networks in the ensemble: each has experts, gates and towers of its own, and the answer is the mean
        of their predictions or probabilities. They are trained side by side in the same matmuls.
    n_experts : int, default=4
        Number of experts of each member. 1 makes it a shared-bottom network.
    n_task_experts : int, default=0
        Number of experts of each member that a single task has for itself, beside the shared ones [7]_.
    n_levels : int, default=1
        Number of levels of experts and gates, one behind the other: more are PLE, progressive extraction [7]_.
    expert_layer_sizes : sequence of int, default=(64, 64)
        Units of each expert's layers; at least one layer.
    gate_layer_sizes : sequence of int, default=()
        Hidden units of each gate before its softmax. Empty: one linear layer, as in the paper.
    tower_layer_sizes : sequence of int, default=(32,)
        Hidden units of each task's tower. Empty: one linear layer.
    gating : {"per_task", "shared"}, default="per_task"
        One gate per task (MMoE), or one gate for all tasks (OMoE).
    activation : {"relu", "silu", "gelu", "tanh"} or torch.nn.Module class, default="relu"
        Activation of the hidden layers.
    dropout : float in [0, 1), default=0.0
        Probability with which a hidden unit is dropped in training.
    gate_dropout : float in [0, 1), default=0.0
        Probability with which a whole expert is dropped for a row in training. The weights of the experts that are
        left are renormalised; a row that would lose all its experts keeps them all.
    gate_balance : float, default=0.0
        Weight in the loss of how unequally the experts are used over all rows and tasks [2]_: it keeps gates from
        leaving experts out. 0.01 is a start.
    task_weights : sequence, mapping, str or object of torchjd, default=None
        How much each task's loss counts: numbers in the order of the tasks or by name, scaled to mean 1; None: all
        count the same; "uncertainty" learns a variance per task [3]_; "dwa", dynamic weight average, gives more weight
        to tasks whose loss falls slowly [4]_. A name of a method of torchjd ("upgrad", "mgda", "pcgrad",
        "aligned_mtl", "cagrad", "nash_mtl" ...), or one of its aggregators or scalarizers, balances the gradients of
        the experts (extra `balance`).
    optimizer : {"adamw", "adam", "sgd", "rmsprop"} or torch.optim.Optimizer class, default="adamw"
        Optimizer.
    learning_rate : float, default=3e-3
        Step size of the optimizer.
    learning_rate_schedule : {"wsd", "cosine", "constant"}, default="wsd"
        How the learning rate goes in `fit`. "wsd", warmup-stable-decay [5]_: up to `learning_rate` in 50 steps (or a
        tenth of those of `max_epochs`), there until nothing has improved for `n_iter_no_change` epochs, then from the
        best weights down to 0, in 0.3 times as many epochs as these had taken (3 to 30). "cosine": up as well, then
        down to 0 at `max_epochs`, which ends it. "constant": `learning_rate` at every step, as `partial_fit` has it,
        and as callbacks need it that set the rate.
    weight_decay : float, default=1e-4
        Weight decay of the optimizer. Tables of more than 30,000 categories, and the first layers for a sparse `X` of
        more than 100,000 features, are left out of it: `torch.optim.SparseAdam` updates what a batch holds of them.
    batch_size : int or "auto", default="auto"
        Rows per step, of all processes together where several train one model. "auto" is the power of two next to
        n_samples / 64, from 32 to 256 (or all rows, if fewer).
    max_epochs : int or "auto", default="auto"
        Most passes over the data. "auto" is 200, above 5,000 rows as many as see a million rows, but at least 4.
    shuffle : bool, default=True
        Whether every epoch takes the rows in an order of its own.
    early_stopping : bool or "auto", default="auto"
        Whether to set a random validation part aside, stop when its loss no longer falls, and keep the weights of the
        best epoch, member by member. "auto" does so from 1,000 rows on that have a label, of each task that is watched
        (and of 100 groups, where there are groups); of fewer, each member leaves out a fold of its own (one in
        `n_members`) and is stopped by that. Without it, or with a single member or labels too few for folds, training
        stops when the training loss stops falling.
    validation_fraction : float in (0, 1), default=0.1
        Share of the rows with a label, or of their groups where `fit` is given some, in the validation part.
    validation_split : splitter, list of pairs or None, default=None
        Which rows are held out, in place of random ones and of `validation_fraction`: by a splitter of scikit-learn,
        such as `GroupShuffleSplit` or `TimeSeriesSplit`, any object with its `split` and `get_n_splits`, or pairs of
        row numbers to train on and to validate on. One split is for all members. Of several, each member takes the
        next, and begins again where there are fewer; of splits in the order of time all take the last one.
    monitor : "mean", str, mapping or callable, default="mean"
        What decides when to stop and which epoch was best: the mean loss of all tasks, the loss of the task of that
        name, the weighted mean of a mapping of task name to weight, or a scorer of
        :func:`sklearn_mmoe.metrics.make_task_scorer` (any callable of the estimator, X and y of the validation part,
        and `sample_weight` if there are weights; greater is better). `task_weights` do not count here.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without an improvement of `tol` after which the learning rate falls, or, if it is constant, training
        stops. "auto" is 200,000 / n_samples, from 3 to 8; up to 20 if the learning rate is constant.
    tol : float, default=1e-4
        Least improvement of the loss that counts.
    dtype : {"float32", "float64"}, default="float32"
        Type of the network's numbers.
    precision : {"full", "bf16"}, default="full"
        What training computes in. "bf16" needs `dtype="float32"`: weights, optimizer and losses stay of that type, but
        matmuls are of bfloat16, by torch's autocast. It pays on GPUs and CPUs that have units for it, with wide layers
        and large batches. Answers are always computed in full.
    device : str or torch.device, default="auto"
        Where to train and predict: "cpu", "cuda", "cuda:1", "mps" ... "auto" is the first available of cuda, mps, cpu.
    distributed : "auto" or False, default="auto"
        "auto": where several processes were started to train together, by `torchrun` or with a process group of
        `torch.distributed`, `fit` and `partial_fit` train one model on the rows that all of them are given, and each
        process, which has to call them, ends with that model. False: each process trains a model of its own.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the order of the rows, the validation part and dropout. torch's and NumPy's global
        generators are left alone, also by None, which makes another model each time.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit's weights.
    verbose : int, default=0
        1 shows a progress bar over the epochs: training loss, validation score where there is one, time left. Where
        output is no terminal, it is one line at the end. 2 prints a table with a line per epoch. `partial_fit` has no
        bar at 1, and adds a line to the table at 2.
    callbacks : list of skorch callbacks, default=None
        Told of every epoch and batch. They are copied before each fit.
    net_params : dict, default=None
        Parameters of the skorch net under the estimator, with double underscores; they win over those above.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The fitted skorch net.
    module_ : sklearn_mmoe.nn.MMoE
        The fitted torch module.
    task_names_ : list of str
        Names of the tasks: the columns of `y`, or "y0", "y1" ...
    n_outputs_ : int
        Number of tasks.
    classes_ : dict of ndarray
        Classes of each classification, by the name of its column in `y`.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if `X` had names that are all strings.
    categories_ : dict of str or int to ndarray
        The categories of each categorical feature, by its name, or by its index if `X` had no names.
    n_samples_seen_ : int
        Number of rows given to `fit`, or to all calls of `partial_fit` together.
    n_labels_seen_ : ndarray of shape (`n_outputs_`,)
        Number of labels of each task in these rows; the others are missing.
    n_iter_ : int
        Epochs run.
    best_epochs_ : ndarray of shape (n_members,)
        The epoch, counted from 1, whose weights each member has: its best one where early stopping or folds decide,
        else the last.
    loss_curve_ : list of float
        Training loss of each epoch.
    validation_scores_ : list of float or None
        Score of each epoch on the validation part, of what `monitor` watches: minus the loss, or the scorer's score.
        None without a validation part.
    history_ : list of dict
        Per epoch: training and validation loss, in total and of each task, task weights, seconds.
    task_weights_ : ndarray of shape (`n_outputs_`,)
        Weight of each task's loss; NaN where gradients are combined in another way than by weights.
    linear_share_ : float
        Share of the ridge regression in predictions, from 0 to 0.95.
    expert_usage_ : ndarray of shape (`n_outputs_`, n_members * n_experts)
        Mean weight that each task gives to each expert, over (at most 1,000 of) the training rows. Experts that single
        tasks have for themselves stand behind the shared ones of their member.
    gate_entropy_ : ndarray of shape (`n_outputs_`,)
        Mean entropy of each task's gates over the same rows, in nats: 0 for one expert, the logarithm of their number
        for all alike.

    References
    ----------
    .. [1] Ma, J., Zhao, Z., Yi, X., Chen, J., Hong, L., & Chi, E. H. (2018). Modeling Task Relationships in
       Multi-task Learning with Multi-gate Mixture-of-Experts. KDD.
    .. [2] Shazeer, N., et al. (2017). Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer.
       ICLR.
    .. [3] Kendall, A., Gal, Y., & Cipolla, R. (2018). Multi-Task Learning Using Uncertainty to Weigh Losses for Scene
       Geometry and Semantics. CVPR.
    .. [4] Liu, S., Johns, E., & Davison, A. J. (2019). End-to-End Multi-Task Learning with Attention. CVPR.
    .. [5] Hu, S., et al. (2024). MiniCPM: Unveiling the Potential of Small Language Models with Scalable Training
       Strategies. COLM.
    .. [6] Gorishniy, Y., Rubachev, I., & Babenko, A. (2022). On Embeddings for Numerical Features in Tabular Deep
       Learning. NeurIPS.
    .. [7] Tang, H., Liu, J., Zhao, M., & Gong, X. (2020). Progressive Layered Extraction (PLE): A Novel Multi-Task
       Learning (MTL) Model for Personalized Recommendations. RecSys.
    .. [8] Breiman, L. (1996). Stacked Regressions. Machine Learning 24.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmoe import MMoEMultiTask
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> y = np.column_stack([X[:, 0] > 0, X[:, 0] + X[:, 1]])
    >>> y[::3, 1] = np.nan  # labels that are missing
    >>> model = MMoEMultiTask(tasks={"up": "binary", "sum": "regression"}, random_state=0).fit(X, y)
    >>> model.predict(X).shape
    (200, 2)
    >>> model.predict_proba(X)["up"].shape
    (200, 2)
    """

    def __init__(
        self,
        *,
        tasks: Mapping[str, Any] | Sequence[Any] | str = "auto",
        categorical_features: ArrayLike | None = "from_dtype",
        numeric_embeddings: str | Callable[[int, int], nn.Module] | None = "auto",
        linear_part: bool = True,
        n_members: int = 4,
        n_experts: int = 4,
        n_task_experts: int = 0,
        n_levels: int = 1,
        expert_layer_sizes: Sequence[int] = (64, 64),
        gate_layer_sizes: Sequence[int] = (),
        tower_layer_sizes: Sequence[int] = (32,),
        gating: str = "per_task",
        activation: str | type[nn.Module] = "relu",
        dropout: float = 0.0,
        gate_dropout: float = 0.0,
        gate_balance: float = 0.0,
        task_weights: ArrayLike | Mapping[str, float] | str | nn.Module | None = None,
        optimizer: str | type[torch.optim.Optimizer] = "adamw",
        learning_rate: float = 3e-3,
        learning_rate_schedule: str = "wsd",
        weight_decay: float = 1e-4,
        batch_size: int | str = "auto",
        max_epochs: int | str = "auto",
        shuffle: bool = True,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        validation_split: Splitter | Sequence[Any] | None = None,
        monitor: str | Mapping[str, float] | Callable[..., float] = "mean",
        n_iter_no_change: int | str = "auto",
        tol: float = 1e-4,
        dtype: str = "float32",
        precision: str = "full",
        device: str | torch.device = "auto",
        distributed: bool | str = "auto",
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
        net_params: dict[str, Any] | None = None,
    ) -> None:
        self.tasks = tasks
        self.categorical_features = categorical_features
        self.numeric_embeddings = numeric_embeddings
        self.linear_part = linear_part
        self.n_members = n_members
        self.n_experts = n_experts
        self.n_task_experts = n_task_experts
        self.n_levels = n_levels
        self.expert_layer_sizes = expert_layer_sizes
        self.gate_layer_sizes = gate_layer_sizes
        self.tower_layer_sizes = tower_layer_sizes
        self.gating = gating
        self.activation = activation
        self.dropout = dropout
        self.gate_dropout = gate_dropout
        self.gate_balance = gate_balance
        self.task_weights = task_weights
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation_split = validation_split
        self.monitor = monitor
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.dtype = dtype
        self.precision = precision
        self.device = device
        self.distributed = distributed
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.callbacks = callbacks
        self.net_params = net_params

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMMoE._parameter_constraints,
        "tasks": [StrOptions({"auto"}), Mapping, list, tuple],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: Any, classes: Mapping[str, Any] | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on these rows, from where the last call left off.

        The scale of the regressions is that of all labels so far; where it moves, predictions stay. The first call may
        lack labels of a task, if it is declared and its classes, if it has some, are given. It decides which features
        are categories, and which categories there are: a category that comes later is an unknown one.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features.
        y : array-like, data frame or series of shape (n_samples,) or (n_samples, n_tasks)
            Targets, a column per task; labels may be missing.
        classes : mapping of task name to array-like of shape (n_classes,), default=None
            All classes of the classifications, needed in the first call where its labels do not show them all.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight of each row, or of each label.

        Returns
        -------
        self : object
            The estimator, one epoch on.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_mmoe import MMoEMultiTask
        >>> X, species = load_iris(return_X_y=True)
        >>> y = pd.DataFrame({"length": X[:, 2], "species": species.astype(str)})
        >>> model = MMoEMultiTask(tasks=["regression", "multiclass"], random_state=0)
        >>> classes = {"species": ["0", "1", "2"]}
        >>> model = model.partial_fit(X[:50], y[:50], classes=classes)  # of one species only
        >>> model.partial_fit(X[50:], y[50:]).n_iter_
        2
        """
        return self._partial_fit(X, y, sample_weight, classes)

    def _declared_names(self) -> Sequence[Hashable] | None:
        return list(self.tasks) if isinstance(self.tasks, Mapping) else None

    def _parameters_for_tasks(self, some: Sequence[int], names: Sequence[Hashable]) -> dict[str, Any]:
        tasks: Any = self.tasks
        if isinstance(tasks, Mapping):
            own = [names[t] for t in some]
            tasks = {key: task for key, task in tasks.items() if index_of(key, own) is not None}
        elif not isinstance(tasks, str):
            tasks = [tasks[t] for t in some]
        return {**super()._parameters_for_tasks(some, names), "tasks": tasks}

    def _declare_tasks(
        self, targets: Targets, classes: Sequence[Any] | None, known: Sequence[Task] | None
    ) -> Sequence[Task]:
        if isinstance(self.tasks, str) and known is not None:  # a later chunk may lack labels to infer from
            return known
        return as_tasks(self.tasks, targets, classes)

    def _weights_of_classes(self, targets: Targets) -> Any:
        positive = [task.positive_weight if isinstance(task, FittedClassification) else 1.0 for task in self._tasks]
        if all(weight == 1.0 for weight in positive):
            return None
        return [
            {task.classes[0]: 1.0, task.classes[1]: weight}
            if isinstance(task, FittedClassification) and weight != 1.0
            else None
            for task, weight in zip(self._tasks, positive, strict=True)
        ]

    def _classes_by_task(self, classes: Any, targets: Targets) -> Sequence[Any] | None:
        if classes is None:
            return None
        found, unknown = by_index(classes, targets.names) if isinstance(classes, Mapping) else ({}, [classes])
        if unknown:
            raise ValueError(f"classes must map names of tasks {targets.names} to their classes; got {shown(classes)}.")
        return [found.get(t) for t in range(len(targets.columns))]
