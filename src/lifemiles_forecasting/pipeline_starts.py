"""Where a run may start: what it takes is there, is of its own, and is what it is asked about."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lifemiles_forecasting.cli_selection import whole_pipeline
from lifemiles_forecasting.core.errors import ConfigError, InputError
from lifemiles_forecasting.tracking.flat import flatten

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline

# what pipelines that are run by themselves start from
MADE_BY_DATA_PROCESSING = ("panel", "stores", "row_balance", "planned_events")
MADE_BY_TRAINING = (
    "backtest",
    "forecasts",
    "weights",
    "attempted",
    "test_intervals",
    "importance",
    "failures",
    "warnings",
    "training_run",
)
MADE_BY_REPORTING = ("store_metrics", "aggregate_metrics", "coverage")
# parameters that choose what is forecast and by which model; others may be of several runs
CHOOSING = {
    "stores": "max_stores=N trains the N largest stores alone",
    "model_version": "Training makes a model of its own",
    "model_alias": "Training makes a model of its own",
}

_OR_PANEL_ALONE = ", or `kedro run --pipelines=data_processing`"


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
    enough = set(missing) <= whole.all_outputs() and not whole.inputs() & set(MADE_BY_REPORTING)
    if "__default__" in pipelines or not enough:
        project.pipelines.set_requested(None)  # or of the whole run Kedro knows what was asked for
        whole, command = whole_pipeline(["__default__"]), "kedro run"
    starts = _starts(whole, pipeline, catalog)
    raise InputError(
        f"no {' and no '.join(missing)} to start from: nodes hand that on in memory alone",
        "a start at nodes whose inputs are in files",
        f"Start earlier: `{command} --from-nodes={','.join(starts)}`" if starts else "",
    )


def check_measured(pipeline: Pipeline) -> None:
    """Make sure that a run that trains tracks its own metrics, and not what an earlier one left.

    Args:
        pipeline: the nodes that are going to run.

    Raises:
        InputError: it trains, and takes metrics that none of its nodes makes.
    """
    if "backtest_result" not in pipeline.all_outputs():
        return
    missing = sorted(pipeline.inputs() & set(MADE_BY_REPORTING))
    if missing:
        raise InputError(
            f"a training without {' and without '.join(missing)}, which MLflow gets with it",
            "the pipeline reporting in the same run, which measures what was trained",
            "Run `kedro run --pipelines=modeling,reporting`, or `kedro run`",
        )


def check_inputs(pipeline: Pipeline, catalog: CatalogProtocol) -> None:
    """Make sure that the files of an earlier run that the pipeline starts from are there.

    Raises:
        InputError: one is not; the message says how to make it.
    """
    made_before = {*MADE_BY_DATA_PROCESSING, *MADE_BY_TRAINING}
    missing = sorted(n for n in pipeline.inputs() & made_before if not catalog.exists(n))
    if missing:
        shorter = "" if set(missing) & set(MADE_BY_TRAINING) else _OR_PANEL_ALONE
        raise InputError(
            f"no {' and no '.join(missing)} of an earlier run",
            "the files that `kedro run` leaves",
            f"Run `kedro run`{shorter}, with the same data_root",
        )


def check_versions(catalog: CatalogProtocol, load_versions: Mapping[str, str] | None) -> None:
    """Make sure that versions are asked for of datasets that have some: Kedro ignores the others.

    Args:
        catalog: of the run.
        load_versions: of `--load-versions`, by dataset.

    Raises:
        ConfigError: a dataset has none.
    """
    for name, version in (load_versions or {}).items():
        if getattr(catalog.get(name), "_version", None) is None:
            raise ConfigError(
                f"--load-versions={name}:{version}, and that dataset is not versioned",
                "a dataset whose entry in the catalog says `versioned: true`",
                "What earlier runs made is in MLflow (`kedro explore`); as_of replays earlier data",
            )


def check_entries(names: Iterable[str], catalog: CatalogProtocol) -> None:
    """Make sure that datasets can be made of what the catalog says of them.

    Args:
        names: of the datasets.
        catalog: makes a dataset when it is asked for.

    Raises:
        ConfigError: one cannot; the message names entry and argument.
    """
    from kedro.io import DatasetError

    for name in sorted(names):
        try:
            catalog.get(name)
        except DatasetError as error:
            words = str(error).strip().partition("\n")[0].removesuffix(".")
            raise ConfigError(
                f"catalog entry {name!r} of which no dataset can be made ({words})",
                "the arguments that its type takes",
                "The files conf/base/catalog*.yml show them",
            ) from None


def unused_entries(added: Iterable[str]) -> Iterator[str]:
    """What to say of every entry of the catalog that no pipeline uses: a misspelled one, say.

    Args:
        added: names that an environment adds; those of `base` are in use.
    """
    from kedro.framework import project

    # a pattern is of no single dataset, and what begins with _ is there for others to refer to
    names = {name for name in added if "{" not in name and not name.startswith("_")}
    if not names:
        return
    project.pipelines.set_requested(None)  # or Kedro knows only those that are run
    used = {name for one in project.pipelines.values() for name in one.datasets()}
    known = [name for name in used if not name.startswith("param")]
    for name in sorted(names - used):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f". Did you mean {near[0]!r}?" if near else ""
        yield (
            f"found catalog entry {name!r}, which no pipeline uses; expected the name of a "
            f"dataset of theirs{hint}"
        )


def check_choice(pipeline: Pipeline, given: Mapping[str, Any]) -> None:
    """Make sure that what is chosen at run time is chosen from by a node.

    Args:
        pipeline: the nodes that are going to run.
        given: run-time parameters (`--params`).

    Raises:
        ConfigError: a choice of stores or of a model would change nothing.
    """
    for name, instead in CHOOSING.items():
        if given.get(name) is not None and f"params:{name}" not in pipeline.inputs():
            raise ConfigError(
                f"parameter {name!r} = {given[name]!r}, given at run time, of which no node that "
                "is going to run takes notice",
                "it with a pipeline that does, as --pipelines=forecasting",
                instead,
            )


def check_asked(
    pipeline: Pipeline,
    catalog: CatalogProtocol,
    config: Mapping[str, Any],
    given: Mapping[str, Any],
) -> None:
    """Make sure that what an earlier run left is what this one is asked about.

    Training on a panel goes by its target; a report tells of the run that made the figures.

    Args:
        pipeline: the nodes that are going to run.
        catalog: of the run; the files are there.
        config: all parameters, flat.
        given: those of this very run (`--params`), nested.

    Raises:
        InputError: it is not; the message says what differs.
    """
    if "training_run" in pipeline.inputs():
        made = flatten(catalog.load("training_run")["parameters"])
        asked = [n for n in flatten(given) if n != "data_root" and not n.startswith("reporting.")]
    elif "row_balance" in pipeline.inputs() and "backtest_result" in pipeline.all_outputs():
        made = catalog.load("row_balance")
        asked = ["target"] if config["as_of"] is None else ["target", "as_of"]
    else:
        return
    other = [name for name in asked if made.get(name) != config[name]]
    if other:
        raise InputError(
            "an earlier run with " + " and ".join(f"{n}={made.get(n)}" for n in other),
            " and ".join(f"{n}={config[n]}" for n in other) + ", which this run asks for",
            "Ask for the same as that run, or run the pipelines before this one again",
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
