"""`kedro explore`: what the tracking store holds, as a table, JSON or CSV on a clean stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.core.hosts import exposure, in_address, is_web_address
from lifemiles_forecasting.core.names import printable
from lifemiles_forecasting.rendering import RENDERERS
from lifemiles_forecasting.tracking.names import CHAMPION, REGISTERED_MODEL

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.tracking.queries import PastRuns

Tables = Mapping[str, Sequence[Mapping[str, Any]]]

_EMPTY = "Nothing has been tracked yet. Run `kedro run` first."
_NO_CHAMPION = (
    f"No version of the model {REGISTERED_MODEL} is {CHAMPION} yet. "
    "`kedro run` without max_stores registers one."
)
# options that ask or do something of their own, and the ones that can be given with them
_SHOWN = {"top", "form"}
_GOES_WITH = {
    "best_models": {"store", "experiment_id", *_SHOWN},
    "compare": {"experiment_id", *_SHOWN},
    "champion": _SHOWN,
    "serve": {"port", "host"},
}
_STORES_FILE = Path("03_primary", "stores.parquet")  # as in the catalog


@dataclass(frozen=True)
class Stores:
    """Where the project keeps its runs and its models.

    Attributes:
        tracking: URI of the tracking store.
        registry: URI of the model registry; by default that of the tracking store.
        outputs: folder of what its runs write.
    """

    tracking: str
    registry: str | None = None
    outputs: Path = Path("data")


@dataclass(frozen=True)
class Question:
    """What is asked of the tracking store.

    Attributes:
        experiment_id: only this experiment.
        best_models: the best training runs and store models.
        store_id: only this store.
        compare: two training runs, each by its run id, the beginning of that, or its name.
        champion: the registered model.
        top: rows per table; of a comparison, stores per kind of change.
    """

    experiment_id: str | None = None
    best_models: bool = False
    store_id: str | None = None
    compare: tuple[str, str] | None = None
    champion: bool = False
    top: int = 10


@dataclass(frozen=True)
class Answer:
    """What the tracking store says.

    Attributes:
        tables: rows by name of the table.
        remarks: what a reader should know besides.
    """

    tables: Tables
    remarks: Sequence[str] = ()


def check_options(given: Collection[str]) -> None:
    """Refuse options that ask for different things at once, or would change nothing.

    Args:
        given: names of the options of `kedro explore` that were given.

    Raises:
        click.UsageError: two of them do not go together, or one goes with another alone.
    """
    flags = {name: f"--{name.replace('_', '-')}" for name in given} | {"form": "--format"}
    asked = [
        name for name in (*_GOES_WITH, "store", "experiment_id", "top", "form") if name in given
    ]
    for name in asked:
        for other in asked:
            if other != name and other not in _GOES_WITH.get(name, {other}):
                raise click.UsageError(f"{flags[name]} and {flags[other]} do not go together.")
    for name in sorted(_GOES_WITH["serve"].intersection(given)):
        if "serve" not in given:
            raise click.UsageError(f"{flags[name]} goes with --serve alone.")


def find_stores(project_path: Path, env: str | None) -> Stores:
    """The project's tracking store and registry, found without opening or creating anything.

    Args:
        project_path: root of the project.
        env: configuration environment.

    Raises:
        ConfigError: there is no such environment.
    """
    from kedro.framework.project import settings

    from lifemiles_forecasting.hooks import check_environment
    from lifemiles_forecasting.tracking_config import tracking_config

    loader = settings.CONFIG_LOADER_CLASS(
        conf_source=str(project_path / settings.CONF_SOURCE),
        env=env,
        **settings.CONFIG_LOADER_ARGS,
    )
    check_environment(loader)
    server = tracking_config(loader, project_path)["server"]
    outputs = project_path / loader["globals"]["paths"]["data_root"]
    return Stores(server["mlflow_tracking_uri"], server["mlflow_registry_uri"], outputs)


def explore(stores: Stores, question: Question, form: str) -> None:
    """Answer a question on stdout; remarks go to stderr.

    Args:
        stores: where to look.
        question: what to show.
        form: `table`, `json` or `csv`.

    Raises:
        TrackingError: the store does not answer, has the tables of another version of MLflow, or
            no such experiment, training run or store.
    """
    from lifemiles_forecasting.tracking.store import (
        clear_schema_errors,
        probe,
        switch_telemetry_off,
    )

    switch_telemetry_off()
    probe(stores.tracking)
    if question.champion and stores.registry is not None:
        probe(stores.registry)
    with clear_schema_errors(stores.tracking):
        answered = answer(stores, question)
    for remark in answered.remarks:
        click.echo(printable(remark), err=True)
    click.echo(RENDERERS[form](answered.tables), nl=False)


def answer(stores: Stores, question: Question) -> Answer:
    """Ask the tracking store, or the registry.

    Raises:
        TrackingError: there is no such experiment, training run or store.
    """
    from lifemiles_forecasting.tracking.store import has_content

    if question.champion:
        there = has_content(stores.registry or stores.tracking)
        return _champion(_client(stores)) if there else Answer({"versions": []}, [_NO_CHAMPION])
    if has_content(stores.tracking):
        from lifemiles_forecasting.tracking.queries import PastRuns

        past = PastRuns(_client(stores))
        if past.has_trainings():
            return _past(past, question, stores.outputs)
    return Answer({"experiments": []}, [_EMPTY])


def _client(stores: Stores) -> MlflowClient:
    from mlflow.tracking import MlflowClient

    return MlflowClient(stores.tracking, stores.registry)


def _champion(client: MlflowClient) -> Answer:
    from lifemiles_forecasting.tracking.champion import registered_versions

    versions = registered_versions(client)
    has_champion = any(row["alias"] == CHAMPION for row in versions)
    return Answer({"versions": versions}, [] if has_champion else [_NO_CHAMPION])


def _past(past: PastRuns, question: Question, outputs: Path) -> Answer:
    only, top, store_id = question.experiment_id, question.top, question.store_id
    if question.compare is not None:
        from lifemiles_forecasting.tracking.comparison import compare

        a, b = (past.training(reference, only) for reference in question.compare)
        return Answer(*compare(past.client, a, b, top))
    if store_id is not None and not past.history(store_id, 1, only):
        raise _unknown_store(past, store_id, only, outputs)
    if question.best_models:
        models = past.best_models(top, only, store_id)
        tables = {"training_runs": past.best_trainings(top, only), "store_models": models}
        return Answer(tables, [] if models else [_no_models(store_id)])
    if store_id is not None:
        return Answer({"store_runs": past.history(store_id, top, only)})
    if only is not None:
        runs = past.trainings(only, top)
        return Answer({"training_runs": runs}, [] if runs else ["Nothing found: training runs"])
    return Answer({"experiments": past.experiments()})


def _no_models(store_id: str | None) -> str:
    if store_id is None:
        return "Nothing found: store models"
    return f"The store {store_id!r} has no finished run with a model"


def _unknown_store(
    past: PastRuns, store_id: str, experiment_id: str | None, outputs: Path
) -> TrackingError:
    """The error of a store without a run: whether the data have it, or which may be meant."""
    where = "" if experiment_id is None else f" in experiment {experiment_id}"
    found, expected = f"no run of the store {store_id!r}{where}", "a store that has been trained"
    if _has_data(outputs, store_id):
        return TrackingError(
            f"{found}, which is in the data of the last run",
            expected,
            "Its status in forecasts.csv says how it is forecast; max_stores and min_samples say "
            "which stores are trained",
        )
    near = [printable(one) for one in past.near_stores(store_id, experiment_id)]
    return TrackingError(found, expected, f"There is {', '.join(near)}" if near else "")


def _has_data(outputs: Path, store_id: str) -> bool:
    """Whether the store is in the table of all stores that the last run here has written."""
    import pandas as pd

    from lifemiles_forecasting.core.columns import STORE_ID

    file = outputs / _STORES_FILE
    if not file.is_file():
        return False
    return store_id in set(pd.read_parquet(file, columns=[STORE_ID])[STORE_ID])


def serve(uri: str, port: int, host: str) -> None:
    """Become the MLflow UI; Ctrl-C ends it. A server shows its own UI.

    Args:
        uri: the tracking store.
        port: to listen on.
        host: to listen on; a warning is printed where other machines get in.

    Raises:
        TrackingError: there is no such store, or it does not answer.
    """
    from lifemiles_forecasting.tracking.store import probe, without_credentials

    if is_web_address(uri):
        click.echo(f"The tracking server has its own UI: {without_credentials(uri)}")
        return
    probe(uri)  # MLflow would try for minutes, and show the address with its password
    if warning := exposure(host):
        click.echo(f"Warning: {warning}", err=True)
    click.echo(f"MLflow UI at http://{in_address(host)}:{port} (Ctrl-C ends it)", err=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", host, "--port", str(port)]
    # not as an argument: everyone on the machine could read a database's password there
    variables = {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri}
    os.execve(command[0], command, variables)  # noqa: S606 - our own interpreter, no shell
