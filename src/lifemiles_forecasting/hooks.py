"""What happens around a run: checks before anything is computed, and the parent run in MLflow."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from lifemiles_forecasting import config_checks
from lifemiles_forecasting.config_loader import CheckedConfigLoader
from lifemiles_forecasting.core.errors import ConfigError, ForecastingError
from lifemiles_forecasting.core.names import did_you_mean
from lifemiles_forecasting.datasets.aside import clear_parts, write_aside
from lifemiles_forecasting.mlflow_plugin import forget_run, log_parameters_once
from lifemiles_forecasting.run_lock import RunLock
from lifemiles_forecasting.tracking import lifecycle
from lifemiles_forecasting.tracking_config import (
    checked_mlflow_yml,
    places,
    probe_servers,
    tracking_config,
)

if TYPE_CHECKING:
    from kedro.config import AbstractConfigLoader
    from kedro.framework.context import KedroContext
    from kedro.io import CatalogProtocol
    from kedro.pipeline import Pipeline

    from lifemiles_forecasting.tracking.summary import Places

logger = logging.getLogger(__name__)

# runs that do not train, by their pipeline: level, and what their names begin with
OTHER_RUNS = {
    "forecasting": (lifecycle.SCORING_LEVEL, "Scoring"),
    "monitoring": (lifecycle.MONITORING_LEVEL, "Monitoring"),
}

MODES = {"all": "full", "drifted": "drifted"}  # how a run trains, by what it trains anew

guard = lifecycle.RunGuard()
lock = RunLock()


class ForecastingHooks:
    """Refuses a run that cannot succeed, and sees to the parent run from start to end."""

    def __init__(self) -> None:
        self._project_path = Path()
        self._environment = ""
        self._config: dict[str, Any] = {}
        self._given: dict[str, Any] = {}
        self._added: set[str] = set()  # to the catalog, by the environment
        self._mode = ""
        self._trained = ""
        self._places: Places | None = None
        self._uri = ""  # of the tracking store
        self._database_folder: list[Path] = []

    @hook_impl(wrapper=True)  # around kedro-mlflow, which retries a missing server for minutes
    def after_context_created(self, context: KedroContext) -> Generator[None, Any, Any]:
        """Check the environment, the configuration and the tracking store, then let it be opened.

        Raises:
            ConfigError: the environment or a parameter is unknown, a value cannot be used, or a
                file that is shared holds a password.
            TrackingError: the tracking store or the model registry does not answer, or has the
                tables of another version of MLflow.
            FullDiskError: there is no room for the tables of a new store.
        """
        from kedro.config import MissingConfigException

        from lifemiles_forecasting.tracking import store
        from lifemiles_forecasting.tracking.first_use import one_at_a_time

        warn_of_open_host()
        loader = context.config_loader
        check_environment(loader)
        if isinstance(loader, CheckedConfigLoader):
            self._added = loader.added_entries()
            for warning in loader.unread():
                logger.warning(warning)
        config_checks.check_no_passwords(Path(loader.conf_source))
        with suppress(MissingConfigException):
            # now, and kept: Kedro itself looks at it when MLflow has already been written to
            loader["catalog"] = loader["catalog"]
        self._trained = ""  # of an earlier run of this process, in a notebook say
        self._project_path = Path(context.project_path)
        self._environment = loader.env or loader.default_run_env
        # the catalog takes its parameters from here: nodes get what was checked
        loader["parameters"] = self._read_parameters(loader["parameters"])
        given, shared = loader.runtime_params or {}, loader["globals"]
        self._given = given
        config_checks.check_places(self._config, given, shared)
        loader["mlflow"] = tracking_config(loader, self._project_path)
        store.switch_telemetry_off()
        store.refuse_pickles()
        store.keep_stdout_clean()
        store.tune_sqlite()
        probe_servers(loader["mlflow"]["server"])
        write_aside()
        forget_run()
        log_parameters_once(self._config)
        self._places = places(loader["mlflow"], self._config)
        self._uri = loader["mlflow"]["server"]["mlflow_tracking_uri"]
        database = store.sqlite_path(self._uri)
        self._database_folder = [database.parent] if database else []
        with self._clear_errors(), one_at_a_time(self._uri), checked_mlflow_yml():
            return (yield)

    @hook_impl(tryfirst=True)  # before kedro-mlflow, which makes every dataset
    def after_catalog_created(self, catalog: CatalogProtocol) -> None:
        """Make the datasets whose names are known, and warn of those that no pipeline knows.

        Raises:
            ConfigError: of an entry no dataset can be made.
        """
        from lifemiles_forecasting.pipeline_starts import check_entries, unused_entries

        check_entries(catalog.keys(), catalog)
        for warning in unused_entries(self._added):
            logger.warning(warning)

    @hook_impl(wrapper=True)  # around kedro-mlflow, which opens the run
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> Generator[None, Any, Any]:
        """Hold the outputs, let the run be opened, and write the whole configuration to it.

        Raises:
            ConfigError: another run writes to the same folder, a version is asked for of a
                dataset that has none, something is chosen that no node chooses from, or a dataset
                cannot be made.
            InputError: the pipeline starts from what another one has not left yet, or has left of
                something else, or from what nodes hand on in memory alone; or it trains without
                measuring.
            TrackingError: the run's artifacts cannot be placed.
            ClusterError: the run trains on a cluster that cannot be used.
        """
        from lifemiles_forecasting.pipeline_starts import (
            check_asked,
            check_choice,
            check_entries,
            check_in_memory,
            check_inputs,
            check_measured,
            check_versions,
        )
        from lifemiles_forecasting.tracking.dead_runs import outputs_key, writing_to

        check_entries(pipeline.datasets(), catalog)
        check_choice(pipeline, self._given)
        check_measured(pipeline)
        check_in_memory(pipeline, catalog, run_params.get("pipeline_names") or ["__default__"])
        check_versions(catalog, run_params.get("load_versions"))
        check_cluster(pipeline, self._config["modeling.scheduler"])
        folder = self._take_outputs()
        with writing_to(outputs_key(folder)):
            results = yield
        run_id = lifecycle.active_run_id()
        if run_id is not None:
            guard.watch(run_id)
        check_inputs(pipeline, catalog)
        check_asked(pipeline, catalog, self._config, self._given)
        if run_id is not None:  # else tracking is switched off for this pipeline
            trains = writes_store_runs(pipeline, catalog)
            self._describe_run(run_id, run_params, trains, data_source(catalog))
            close_dead(run_id, folder)
            replay_spool(folder)
        if "report" not in pipeline.all_outputs() and self._places:
            self._places = replace(self._places, report="")
        return results

    def _describe_run(
        self, run_id: str, run_params: dict[str, Any], trains: bool, source: dict[str, str]
    ) -> None:
        """Write the whole configuration to the run, and what kind of run it is."""
        from lifemiles_forecasting.tracking.provenance import git_state

        lifecycle.check_artifacts(run_id)
        names = "+".join(run_params.get("pipeline_names") or ["partial"])
        level, title = OTHER_RUNS.get(names, (lifecycle.PARTIAL_LEVEL, names))
        tags = {
            "run_level": lifecycle.PIPELINE_LEVEL if trains else level,
            "training_mode": self._mode,
            "environment": self._environment,
            "kedro_env": self._environment,
            **git_state(self._project_path),
            **source,
        }
        lifecycle.describe(run_id, self._config, tags)
        if not trains:
            lifecycle.rename_partial(run_id, title.replace("__default__", "partial"))
        self._trained = run_id if trains else ""

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Sum a training run up, and say where it can be looked at."""
        guard.release()
        lock.release()
        if not self._trained:
            return
        from mlflow.tracking import MlflowClient

        from lifemiles_forecasting.tracking.summary import conclude

        with self._clear_errors():
            for line in conclude(MlflowClient(), self._trained, self._places):
                logger.info(line)

    @hook_impl(wrapper=True)  # around kedro-mlflow, which closes the run as failed
    def on_pipeline_error(self, error: Exception) -> Generator[None, Any, Any]:
        """Let the run be closed, after which nothing is left to look after.

        Raises:
            FullDiskError: there is no room left.
            LostStoreError: it cannot be closed, because the tracking store has gone away.
        """
        from mlflow.exceptions import MlflowException

        try:
            instead = self._instead_of(error)
            if instead is None:
                results = yield
                guard.release()
                return results
            with lifecycle.without_retries(), suppress(MlflowException):
                yield
            guard.abandon()
            raise instead from error
        finally:  # not before the run is closed, or the next one would take it for a dead one
            lock.release()

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Raise what an error comes from in its place, where it is the disk or the store."""
        try:
            yield
        except Exception as error:
            instead = self._instead_of(error)
            if instead is None:
                raise
            raise instead from error

    def _instead_of(self, error: Exception) -> ForecastingError | None:
        """What to say instead of an error that comes from the disk or from the tracking store."""
        from lifemiles_forecasting.full_disk import full_disk
        from lifemiles_forecasting.tracking.store import other_schema

        full = full_disk(error, [self._outputs(), *self._database_folder])
        clear = full or other_schema(error, self._uri)
        if clear is not None:
            return clear
        lost = lifecycle.lost_store(error)
        # to go on without it is not for a run that needs what the registry holds
        if lost is not None and self._trained and self._mode != "drifted":
            lost.outputs = self._outputs()
        return lost

    def _take_outputs(self) -> Path:
        """Hold the folder of the outputs, and clear what a killed run left unfinished there."""
        folder = self._outputs()
        lock.take(folder)
        for part in clear_parts(folder):
            logger.info("Removed what an interrupted run left: %s", part)
        return folder

    def _outputs(self) -> Path:
        return self._project_path / self._config["data_root"]

    def _read_parameters(self, raw: dict[str, Any]) -> dict[str, Any]:
        """The parameters as they were understood, defaults of absent ones included; kept flat."""
        from lifemiles_forecasting.core.config import Parameters, parse
        from lifemiles_forecasting.tracking.flat import flatten

        parsed = parse(Parameters, raw)
        self._mode = "limited" if parsed.max_stores is not None else MODES[parsed.retrain]
        understood = parsed.model_dump(mode="json")  # plain values, as a file could hold them
        self._config = flatten(understood)
        return understood


def close_dead(run_id: str, folder: Path) -> None:
    """Mark runs as KILLED that wrote to this folder: they are dead, for this run alone holds it."""
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.tracking.dead_runs import close_dead_runs, outputs_key

    for name in close_dead_runs(MlflowClient(), run_id, outputs_key(folder)):
        logger.info("%s was interrupted without a word; it is KILLED now", name)


def replay_spool(folder: Path) -> None:
    """Write to the tracking store what earlier runs could not, because it was away."""
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.tracking.names import SPOOL_VARIABLE
    from lifemiles_forecasting.tracking.spool import has_spool, replay_or_warn

    if SPOOL_VARIABLE not in os.environ and has_spool(folder):
        for name in replay_or_warn(folder, MlflowClient()):
            logger.info("%s, tracked while the store was away, is there now", name)


def warn_of_open_host() -> None:
    """Warn where the command that is running, Kedro's plugins' too, lets other machines in."""
    import click

    from lifemiles_forecasting.core.hosts import exposure

    command = click.get_current_context(silent=True)
    host = command.params.get("host") if command else None
    if host and (warning := exposure(host)):
        logger.warning(warning)


def check_environment(loader: AbstractConfigLoader) -> None:
    """Make sure that the folders of the configuration and of its environment are there.

    Raises:
        ConfigError: one is not; the message names the environments that are.
    """
    source = Path(loader.conf_source)
    if source.is_file() or "://" in str(loader.conf_source):  # an archive, or elsewhere
        return
    if not (source / loader.base_env).is_dir():
        raise ConfigError(
            f"no folder {loader.base_env} in {source}",
            "the configuration of the project",
            "--conf-source names the folder that it is in",
        )
    if not loader.env:
        return
    known = sorted(folder.name for folder in source.iterdir() if folder.is_dir())
    if loader.env in known:  # not any path: ../elsewhere is a folder too
        return
    hint = did_you_mean(loader.env, known)
    raise ConfigError(f"no environment {loader.env!r} in {source}", ", ".join(known), hint)


def check_cluster(pipeline: Pipeline, scheduler: str | None) -> None:
    """Make sure that the cluster can be used, where this pipeline trains on one.

    Raises:
        ClusterError: it cannot.
    """
    if scheduler and "backtest_result" in pipeline.all_outputs():
        from lifemiles_forecasting.core.cluster_connection import connection

        connection(scheduler).check()


def data_source(catalog: CatalogProtocol) -> dict[str, str]:
    """The tag that says where transactions come from, where their dataset can tell."""
    from lifemiles_forecasting.tracking.names import DATA_SOURCE

    source = getattr(catalog.get("raw_transactions"), "source", None)
    return {DATA_SOURCE: source} if source else {}


def writes_store_runs(pipeline: Pipeline, catalog: CatalogProtocol) -> bool:
    """Whether this is a training run: one that leaves a nested run per store."""
    from lifemiles_forecasting.datasets.store_runs import StoreRunsDataset

    return any(isinstance(catalog.get(name), StoreRunsDataset) for name in pipeline.all_outputs())
