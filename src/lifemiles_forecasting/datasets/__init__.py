"""Catalog datasets of our own: raw transaction files, and what goes to MLflow."""
