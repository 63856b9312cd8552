"""`kedro explore`: what the tracking store holds, as a table, JSON or CSV on a clean stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifemiles_forecasting.core.hosts import exposure, in_address
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
# options that ask or do something of their own, and the ones that they can be narrowed by
_NARROWED_BY = {
    "best_models": {"store", "experiment_id"},
    "compare": {"experiment_id"},
    "champion": set(),
    "serve": set(),
}


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


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse options that ask for different things at once.

    Args:
        options: of `kedro explore`, by name.

    Raises:
        click.UsageError: two of them do not go together.
    """
    asked = [
        name
        for name in (*_NARROWED_BY, "store", "experiment_id")
        if options[name] not in (None, False)
    ]
    for name in asked:
        for other in asked:
            if other != name and other not in _NARROWED_BY.get(name, {other}):
                flags = [f"--{option.replace('_', '-')}" for option in (name, other)]
                raise click.UsageError(f"{flags[0]} and {flags[1]} do not go together.")


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
            no such experiment or training run.
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
        TrackingError: there is no such experiment or training run.
    """
    from lifemiles_forecasting.tracking.store import has_content

    if question.champion:
        there = has_content(stores.registry or stores.tracking)
        return _champion(_client(stores)) if there else Answer({"versions": []}, [_NO_CHAMPION])
    if has_content(stores.tracking):
        from lifemiles_forecasting.tracking.queries import PastRuns

        past = PastRuns(_client(stores))
        if past.has_trainings():
            return _past(past, question)
    return Answer({"experiments": []}, [_EMPTY])


def _client(stores: Stores) -> MlflowClient:
    from mlflow.tracking import MlflowClient

    return MlflowClient(stores.tracking, stores.registry)


def _champion(client: MlflowClient) -> Answer:
    from lifemiles_forecasting.tracking.champion import registered_versions

    versions = registered_versions(client)
    has_champion = any(row["alias"] == CHAMPION for row in versions)
    return Answer({"versions": versions}, [] if has_champion else [_NO_CHAMPION])


def _past(past: PastRuns, question: Question) -> Answer:
    only, top, store_id = question.experiment_id, question.top, question.store_id
    if question.compare is not None:
        from lifemiles_forecasting.tracking.comparison import compare

        a, b = (past.training(reference, only) for reference in question.compare)
        return Answer(*compare(past.client, a, b, top))
    if question.best_models:
        models = past.best_models(top, only, store_id)
        tables = {"training_runs": past.best_trainings(top, only), "store_models": models}
        return Answer(tables, _unknown_store(past, question) if not models else [])
    if store_id is not None:
        history = past.history(store_id, top, only)
        return Answer(
            {"store_runs": history}, _unknown_store(past, question) if not history else []
        )
    if only is not None:
        runs = past.trainings(only, top)
        return Answer({"training_runs": runs}, [] if runs else ["Nothing found: training runs"])
    return Answer({"experiments": past.experiments()})


def _unknown_store(past: PastRuns, question: Question) -> list[str]:
    """Say that nothing was found, and which stores may have been meant."""
    if question.store_id is None:
        return ["Nothing found: store models"]
    if past.history(question.store_id, 1, question.experiment_id):
        return [f"The store {question.store_id!r} has no finished run with a model"]
    missing = f"Nothing found of the store {question.store_id!r}"
    near = past.near_stores(question.store_id, question.experiment_id)
    return [f"{missing}. There is {', '.join(near)}" if near else missing]


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

    if uri.startswith(("http://", "https://")):
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
