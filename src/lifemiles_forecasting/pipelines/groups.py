"""How a pipeline looks in Kedro-Viz: groups that fold, and nodes that say what they do."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable

from kedro.pipeline import Node, Pipeline
from kedro.pipeline.preview_contract import TextPreview
from kedro.utils import KedroExperimentalWarning


def group(name: str, nodes: Iterable[Node], tags: str | None = None) -> Pipeline:
    """Nodes as one group that Kedro-Viz folds, each with its description.

    Args:
        name: of the group; the nodes are called `<name>.<node>` from then on.
        nodes: their datasets keep their names, and thereby their files.
        tags: of every node.
    """
    return Pipeline(
        described(nodes), tags=tags, namespace=name, prefix_datasets_with_namespace=False
    )


def described(nodes: Iterable[Node]) -> list[Node]:
    """The nodes, with the docstrings of their functions for Kedro-Viz to show."""
    with warnings.catch_warnings():
        # Kedro says at every command that what it shows of nodes may change
        warnings.simplefilter("ignore", KedroExperimentalWarning)
        # a copy is what Kedro itself makes of a node that gets a tag or a namespace
        return [node._copy(preview_fn=_Description(node)) for node in nodes]


def in_namespace(pipeline: Pipeline, namespace: str, *shared: str) -> Pipeline:
    """The pipeline with outputs of its own beside those of training.

    Args:
        pipeline: reads raw transactions.
        namespace: prefix of its datasets.
        *shared: datasets that keep their names, beside the raw input.
    """
    parameters = {name for name in pipeline.inputs() if name.startswith("params:")}
    inputs = {"raw_transactions", "events", *shared}
    inner = described(pipeline.nodes)
    return Pipeline(inner, namespace=namespace, inputs=inputs, parameters=parameters)


class _Description:
    """What Kedro-Viz asks a node for."""

    def __init__(self, node: Node) -> None:
        self._text = inspect.getdoc(node.func) or node.name

    def __call__(self) -> TextPreview:
        return TextPreview(self._text)
