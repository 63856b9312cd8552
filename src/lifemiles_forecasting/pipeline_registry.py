"""The pipelines of the project: each folder of `pipelines`, and what a plain `kedro run` does."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

# Asked for by name: they look at, or use, what a training run has left behind.
ON_REQUEST = ("leak_audit", "forecasting", "monitoring")


def register_pipelines() -> dict[str, Pipeline]:
    """Find the pipelines, failing loudly when one of them cannot be built.

    Returns:
        Pipelines by name; `__default__` is the sum of those that make a run.

    Raises:
        ImportError: a pipeline's package cannot be imported.
    """
    pipelines = find_pipelines(raise_errors=True)
    whole = (pipeline for name, pipeline in pipelines.items() if name not in ON_REQUEST)
    pipelines["__default__"] = sum(whole, Pipeline([]))
    return pipelines
