"""What `kedro run` is asked to run of the pipelines, and how: all of it is there.

Kedro imports this module at every command, so what is heavy is imported inside.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.names import did_you_mean

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline

# what Kedro's method calls its own options
FILTERS = {
    "tags": "tags",
    "from_nodes": "from_nodes",
    "to_nodes": "to_nodes",
    "node_names": "node_names",
    "from_inputs": "from_inputs",
    "to_outputs": "to_outputs",
    "namespaces": "node_namespaces",
}
_FEW = 12  # names that an error lists


def check_selection(options: Mapping[str, Any], pipelines: Iterable[str]) -> None:
    """Make sure that what a run is narrowed by is known, and leaves something to run.

    Args:
        options: of `kedro run`, by name; nodes have their full names.
        pipelines: that are run.

    Raises:
        ConfigError: a tag, input, output or namespace is not there, or no node is left.
    """
    whole = whole_pipeline(pipelines)
    spaces = {node.namespace or "" for node in whole.nodes}
    known = {
        "tags": ("tag", {tag for node in whole.nodes for tag in node.tags}),
        "from_inputs": ("input", {name for node in whole.nodes for name in node.inputs}),
        "to_outputs": ("output", whole.all_outputs()),
        "namespaces": ("namespace", {part for space in spaces for part in _levels(space)}),
    }
    for option, (kind, names) in known.items():
        for name in options[option] or ():
            _check_known(kind, name, names)
    asked = {option: options[option] for option in FILTERS if options[option]}
    try:
        whole.filter(**{FILTERS[option]: names for option, names in asked.items()})
    except ValueError:
        flags = [f"--{option.replace('_', '-').replace('node-names', 'nodes')}" for option in asked]
        raise ConfigError(
            f"no node that {' and '.join(flags)} leave together",
            "at least one",
            "`kedro viz run` shows them",
        ) from None


def whole_pipeline(pipelines: Iterable[str]) -> Pipeline:
    """All nodes of some pipelines."""
    from kedro.framework import project
    from kedro.pipeline import Pipeline

    return sum((project.pipelines[name] for name in pipelines), Pipeline([]))


def _levels(space: str) -> list[str]:
    """A namespace and those around it: `a.b` and `a`."""
    parts = space.split(".") if space else []
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def _check_known(kind: str, name: str, known: Iterable[str]) -> None:
    known = sorted(known)
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    few = 0 < len(known) <= _FEW
    raise ConfigError(
        f"no {kind} {name!r}",
        f"one of {', '.join(known)}" if few else "one of the pipelines that are run",
        f"Did you mean {near[0]!r}?" if near else "`kedro viz run` shows them",
    )


def check_runner(name: str | None) -> None:
    """Make sure that the runner is there, and can run these pipelines.

    Args:
        name: of a class of `kedro.runner`, or with its module of any other; None for the usual one.

    Raises:
        ConfigError: it is not, or runs nodes in processes.
    """
    import kedro.runner
    from kedro.utils import load_obj

    names = {one for one in kedro.runner.__all__ if one.endswith("Runner")}
    known = sorted(names - {"AbstractRunner", "ParallelRunner"})
    expected = f"one of {', '.join(known)}, or a class with its module"
    try:
        runner = load_obj(name or "SequentialRunner", "kedro.runner")
    except (ImportError, AttributeError, ValueError):
        hint = did_you_mean(str(name), known)
        raise ConfigError(f"no runner {name!r}", expected, hint) from None
    if runner is kedro.runner.ParallelRunner:
        raise ConfigError(
            f"runner {name!r}, and tables of the database are handed on in memory, which "
            "processes do not share",
            expected,
            "modeling.workers makes processes, for the stores",
        )
