"""Which rows are not trained on but decide when to stop: drawn at random, by whole groups, or by a splitter."""
