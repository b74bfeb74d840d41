"""The processes that fit one model together."""
