"""Where a run may start: what nodes hand on in memory is of no earlier run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lifemiles_forecasting.cli_selection import whole_pipeline
from lifemiles_forecasting.core.errors import InputError

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline


def check_in_memory(pipeline: Pipeline, catalog: CatalogProtocol, pipelines: Sequence[str]) -> None:
    """Make sure that the pipeline starts from nothing that only an earlier node could hand on.

    Args:
        pipeline: the nodes that are going to run.
        catalog: of the run.
        pipelines: names of those that the nodes were chosen from.

    Raises:
        InputError: it does; the message says where to start instead.
    """
    from kedro.framework import project

    missing = sorted(name for name in pipeline.inputs() if _is_in_memory(name, catalog))
    if not missing:
        return
    whole, command = whole_pipeline(pipelines), f"kedro run --pipelines={','.join(pipelines)}"
    if "__default__" in pipelines or not set(missing) <= whole.all_outputs():
        project.pipelines.set_requested(None)  # or of the whole run Kedro knows what was asked for
        whole, command = whole_pipeline(["__default__"]), "kedro run"
    starts = _starts(whole, pipeline, catalog)
    raise InputError(
        f"no {' and no '.join(missing)} to start from: nodes hand that on in memory alone",
        "a start at nodes whose inputs are in files",
        f"Start earlier: `{command} --from-nodes={','.join(starts)}`" if starts else "",
    )


def _is_in_memory(name: str, catalog: CatalogProtocol) -> bool:
    """Whether there is nothing under this name before a node has run."""
    from kedro.io import MemoryDataset

    if name == "parameters" or name.startswith("params:"):
        return False
    dataset = catalog.get(name)
    return dataset is None or (isinstance(dataset, MemoryDataset) and not dataset.exists())


def _starts(whole: Pipeline, wanted: Pipeline, catalog: CatalogProtocol) -> list[str]:
    """The fewest nodes from which the wanted ones can be run; nothing where they are not known."""
    makers = {output: node.name for node in whole.nodes for output in node.outputs}
    names = {node.name for node in wanted.nodes} & {node.name for node in whole.nodes}
    while names:
        inputs = whole.from_nodes(*names).inputs()
        earlier = {makers[name] for name in inputs & set(makers) if _is_in_memory(name, catalog)}
        if not earlier:
            break
        names |= earlier
    after = {name: {node.name for node in whole.from_nodes(name).nodes} for name in names}
    return sorted(
        name for name in names if not any(name in after[other] for other in names - {name})
    )
