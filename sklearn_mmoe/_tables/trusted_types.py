"""Names of what files of skops may hold of this package's models, for `skops.io.load` to trust."""

from sklearn_mmoe._held_out.splitters import SPLITTERS
from sklearn_mmoe.tasks._declared import DECLARATIONS
from sklearn_mmoe.tasks._fitted import FITTED

_OTHERS = (
    "datetime.date",  # labels and categories that are days or moments
    "datetime.datetime",
    "numpy.dtype",  # scikit-learn's SimpleImputer holds one
    "sklearn_mmoe.MMoEClassifier",
    "sklearn_mmoe.MMoEMultiTask",
    "sklearn_mmoe.MMoERegressor",
    "sklearn_mmoe.TabularPipeline",
    "sklearn_mmoe._arrays.frame_dtypes.FrameDtype",
    "sklearn_mmoe._features.validation.Categories",
    "sklearn_mmoe._tables.columns.FrameTransformer",
    "sklearn_mmoe._tables.columns.TableTransformer",
    "sklearn_mmoe._tables.columns.categorical_columns",
    "sklearn_mmoe._tables.columns.categorical_columns_of_arrays",
    "sklearn_mmoe._tables.columns.categorical_columns_of_frames",
    "sklearn_mmoe._tables.columns.date_columns",
    "sklearn_mmoe._tables.columns.empty_columns",
    "sklearn_mmoe._tables.columns.filled_columns",
    "sklearn_mmoe._tables.columns.many_valued_columns",
    "sklearn_mmoe._tables.columns.numeric_columns",
    "sklearn_mmoe._tables.columns.sparse_columns",
    "sklearn_mmoe._tables.dates.DateEncoder",
    "sklearn_mmoe._tables.preprocessing.clipped",
    "sklearn_mmoe._tables.preprocessing.missing_as_none",
    "sklearn_mmoe._tables.preprocessing.names_of_fit",
    "sklearn_mmoe._tables.splines.QuantileSplines",
    "sklearn_mmoe._training.named_types.Named",
    "sklearn_mmoe._training.net.MMoENet",
    "sklearn_mmoe.tasks._running_stats.RunningStats",
    "skrub._datetime_encoder.DatetimeEncoder",
)
_BY_CLASS = [f"{cls.__module__}.{cls.__name__}" for cls in (*DECLARATIONS, *FITTED, *SPLITTERS.values())]
TRUSTED_TYPES = tuple(sorted((*_OTHERS, *_BY_CLASS)))
