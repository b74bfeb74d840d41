"""The way of X: from what users have to rows as tensors."""
