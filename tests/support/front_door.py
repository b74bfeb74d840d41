"""What the front door says of data that it refuses: of features and of weights, in each call that takes them."""

import pytest
from helpers import fitted, make_features, make_targets
from sklearn.base import clone

REGRESSOR = fitted("regressor", numeric_embeddings=None)


def refuses_as_X(match, X, error=ValueError):
    """All that takes X says the same of it, and a fit that fails leaves nothing behind."""
    model = clone(REGRESSOR)
    with pytest.raises(error, match=match):
        model.fit(X, make_targets("regressor"))
    assert not hasattr(model, "net_")
    for ask in (REGRESSOR.predict, REGRESSOR.gate_weights):
        with pytest.raises(error, match=match):
            ask(X)


def refuses_as_weights(match, weights, error=ValueError):
    X, y = make_features(), make_targets("regressor")
    for call in (clone(REGRESSOR).fit, clone(REGRESSOR).partial_fit, REGRESSOR.score):
        with pytest.raises(error, match=match) as refusal:
            call(X, y, sample_weight=weights)
        assert "sample_weight" in str(refusal.value)
