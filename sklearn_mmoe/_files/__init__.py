"""Models and fits under way as files that run no code."""
