"""The three estimators: parameters, the steps of a fit, what a fitted model answers and shows."""
