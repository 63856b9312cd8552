"""Commands of the project: `kedro run` with clear errors, and `kedro explore`.

Kedro imports this module at every command, so what is heavy is imported inside the commands.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import env_option

from lifemiles_forecasting.cli_tracking import tracking
from lifemiles_forecasting.core.errors import ConfigError, ForecastingError

TRACEBACK_VARIABLE = "LIFEMILES_TRACEBACK"

logger = logging.getLogger(__name__)


@click.group(name="LifeMiles")
def cli() -> None:
    """Forecasts of loyalty-programme billings for every partner store."""


cli.add_command(tracking)


def forecasting_error(error: BaseException) -> ForecastingError | None:
    """The error that a user can act on, in an exception or what caused it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ForecastingError):
            return seen
        seen = seen.__cause__
    return None


@contextmanager
def clear_errors() -> Iterator[None]:
    """End with one clear message where there is one; other errors keep their traceback.

    `LIFEMILES_TRACEBACK=1` keeps every traceback; at log level DEBUG it is logged.

    Raises:
        click.ClickException: in place of a `ForecastingError` anywhere in the chain of causes.
    """
    try:
        yield
    except Exception as error:
        known = forecasting_error(error)
        if known is None or os.environ.get(TRACEBACK_VARIABLE):
            raise
        logger.debug("The traceback of the error", exc_info=error)
        raise click.ClickException(str(known)) from None


def check_pipelines(names: list[str]) -> None:
    """Make sure that the pipelines that were asked for are there.

    Raises:
        ConfigError: one is not; the message names the ones that are.
    """
    folder = Path(__file__).parent / "pipelines"
    packages = [
        path.name for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._"
    ]
    known = ["__default__", *sorted(packages)]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"no pipeline {name!r}", f"one of {', '.join(known)}", hint)


@cli.command(name="run", params=kedro_run.params, context_settings=kedro_run.context_settings)
def run(**options: Any) -> Any:
    """Train, backtest, forecast and report (all of Kedro's options)."""
    from lifemiles_forecasting.hooks import guard

    with clear_errors():
        check_pipelines([*options["pipelines"], *filter(None, [options["pipeline"]])])
        try:
            return kedro_run.callback(**options)
        except Exception:
            guard.close("FAILED")
            raise
        except BaseException:  # Ctrl-C and SIGTERM
            guard.close("KILLED")
            raise


@cli.command()
@click.option("--experiment-id", metavar="ID", help="The training runs of this experiment.")
@click.option("--best-models", is_flag=True, help="The best training runs and store models.")
@click.option("--store", metavar="ID", help="One store over time, or with --best-models its best.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Rows.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="csv of --best-models holds the store models.",
)
@click.option("--serve", is_flag=True, help="Start the MLflow UI on 127.0.0.1.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="For --serve."
)
@env_option
@click.pass_obj
def explore(metadata: Any, **options: Any) -> None:
    """Look at past runs; without options, list the experiments."""
    from kedro.utils import find_kedro_project

    from lifemiles_forecasting import explore as exploring

    project = metadata.project_path if metadata else find_kedro_project(Path.cwd()) or Path.cwd()
    with clear_errors():
        uri = exploring.tracking_uri(Path(project), options["env"])
        if options["serve"]:
            exploring.serve(uri, options["port"])
            return
        question = exploring.Question(
            options["experiment_id"], options["best_models"], options["store"], options["top"]
        )
        exploring.explore(uri, question, options["form"])
