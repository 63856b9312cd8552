"""The pipelines of the project: each folder of `pipelines`, and their sum as the default."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """Find the pipelines, failing loudly when one of them cannot be built.

    Returns:
        Pipelines by name; `__default__` is their sum.

    Raises:
        ImportError: a pipeline's package cannot be imported.
    """
    pipelines = find_pipelines(raise_errors=True)
    pipelines["__default__"] = sum(pipelines.values(), Pipeline([]))
    return pipelines
