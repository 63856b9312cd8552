"""MLflow: store runs, store models, queries over past runs."""
