"""The estimator for classifications: its parameters, and what they say of the tasks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils._param_validation import StrOptions
from torch import nn

from sklearn_mmoe._common.types import FloatArray, Splitter
from sklearn_mmoe._common.words import shown
from sklearn_mmoe._estimators.answers import ClassificationAnswers
from sklearn_mmoe._estimators.base import BaseMMoE
from sklearn_mmoe.tasks._declared import Classification, Task
from sklearn_mmoe.tasks._validation import Targets


class MMoEClassifier(ClassificationAnswers, BaseMMoE):
    """Multi-gate Mixture-of-Experts for one or several classifications.

    Experts are networks that all tasks share; every task has its own softmax gate over them and its own tower [1]_.
    Every task has classes of its own, labels of any type, and labels may be missing.

    Parameters
    ----------
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
    class_weight : "balanced", dict or list of dict, default=None
        Weight of each class in its own task's loss. A list has one dict per task; a single dict is for a 1-D `y`.
        "balanced" weighs the classes of each task inversely to their frequencies among its labels. Weights distort the
        probabilities: :class:`sklearn.calibration.CalibratedClassifierCV` around the estimator puts them right.
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
    classes_ : ndarray of shape (n_classes,) or list of such arrays
        Classes of the task, or of each task where `y` was 2-D.
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

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mmoe import MMoEClassifier
    >>> X, digit = load_digits(return_X_y=True)
    >>> y = np.column_stack([digit, digit % 2])
    >>> model = MMoEClassifier(gate_balance=0.1, max_epochs=20, random_state=0).fit(X / 16, y)
    >>> [proba.shape for proba in model.predict_proba(X[:5] / 16)]
    [(5, 10), (5, 2)]
    """

    def __init__(
        self,
        *,
        categorical_features: ArrayLike | None = "from_dtype",
        numeric_embeddings: str | Callable[[int, int], nn.Module] | None = "auto",
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
        class_weight: str | dict[Any, float] | Sequence[dict[Any, float]] | None = None,
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
        self.categorical_features = categorical_features
        self.numeric_embeddings = numeric_embeddings
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
        self.class_weight = class_weight
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
        "class_weight": [StrOptions({"balanced"}), dict, list, tuple, None],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: ArrayLike, y: Any, classes: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on these rows, from where the last call left off.

        The first call may lack labels of a task whose classes are given. It decides which features are categories, and
        which categories there are: a category that comes later is an unknown one.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features.
        y : array-like, data frame or series of shape (n_samples,) or (n_samples, n_tasks)
            Targets, a column per task; labels may be missing.
        classes : array-like of shape (n_classes,), or a list of such, one per task, default=None
            All classes, needed in the first call unless its labels show them all.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight of each row, or of each label.

        Returns
        -------
        self : object
            The estimator, one epoch on.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_mmoe import MMoEClassifier
        >>> X, species = load_iris(return_X_y=True)
        >>> y = np.column_stack([species, X[:, 0] > 6])
        >>> model = MMoEClassifier(random_state=0)
        >>> classes = [[0, 1, 2], [0, 1]]
        >>> model = model.partial_fit(X[:50], y[:50], classes=classes)  # of one species only
        >>> model.partial_fit(X[50:], y[50:]).n_iter_
        2
        """
        return self._partial_fit(X, y, sample_weight, classes)

    def _parameters_for_tasks(self, some: Sequence[int], names: Sequence[Hashable]) -> dict[str, Any]:
        class_weight: Any = self.class_weight
        if isinstance(class_weight, list | tuple):
            class_weight = [class_weight[t] for t in some]
        return {**super()._parameters_for_tasks(some, names), "class_weight": class_weight}

    def _declare_tasks(
        self, targets: Targets, classes: Sequence[Any] | None, known: Sequence[Task] | None
    ) -> Sequence[Task]:
        return [Classification()] * len(targets.columns)

    def _weights_of_classes(self, targets: Targets) -> Any:
        class_weight: Any = self.class_weight
        if isinstance(class_weight, dict):
            if not targets.is_1d:
                raise ValueError(
                    f"class_weight must be 'balanced' or a list of {len(targets.names)} dicts, one per task "
                    f"{targets.names}, where y is 2-D; got a single dict."
                )
            class_weight = [class_weight]
        if isinstance(class_weight, list | tuple) and len(class_weight) != len(targets.names):
            raise ValueError(
                f"class_weight gives {len(class_weight)} dicts for {len(targets.names)} tasks {targets.names}: one per "
                "task."
            )
        return class_weight

    def _classes_by_task(self, classes: Any, targets: Targets) -> Sequence[Any] | None:
        if classes is None:
            return None
        if targets.is_1d:
            return [classes]
        is_list = isinstance(classes, list | tuple) or (isinstance(classes, np.ndarray) and classes.ndim > 0)
        if not is_list or len(classes) != len(targets.columns):
            raise ValueError(f"classes must be a list of arrays, one per task {targets.names}; got {shown(classes)}.")
        return list(classes)

    def _strata(self, cells: FloatArray) -> NDArray[Any] | None:
        return cells[:, 0] if self.n_outputs_ == 1 else None
