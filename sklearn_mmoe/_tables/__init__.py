"""Preprocessing of tables, and pipelines around a model."""
