"""Commands of the project: `kedro run` with clear errors, `kedro explore` and their kin.

Kedro imports this module at every command, so what is heavy is imported inside the commands.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import env_option

from lifemiles_forecasting.cli_config_file import checked
from lifemiles_forecasting.cli_errors import clear_errors
from lifemiles_forecasting.cli_lost_store import go_on_without_store
from lifemiles_forecasting.cli_models import models
from lifemiles_forecasting.cli_parameters import run_parameters
from lifemiles_forecasting.cli_paths import ProjectPath
from lifemiles_forecasting.cli_selection import FILTERS, check_runner, check_selection
from lifemiles_forecasting.cli_serve import serve
from lifemiles_forecasting.cli_tracking import tracking
from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.hosts import LOOPBACK
from lifemiles_forecasting.core.names import did_you_mean

NODE_OPTIONS = ("from_nodes", "to_nodes", "node_names")


@click.group(name="LifeMiles")
def cli() -> None:
    """Forecasts of loyalty-programme billings for every partner store."""


cli.add_command(models)
cli.add_command(serve)
cli.add_command(tracking)


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
            hint = did_you_mean(name, known)
            raise ConfigError(f"no pipeline {name!r}", f"one of {', '.join(known)}", hint)


def node_names(pipelines: Iterable[str]) -> set[str]:
    """Full names of all nodes of some pipelines."""
    from kedro.framework import project

    return {node.name for name in pipelines for node in project.pipelines[name].nodes}


def full_names(nodes: Iterable[str], known: Iterable[str]) -> list[str]:
    """Names of nodes as Kedro wants them, `modeling.build_study`; the group may be left out.

    Args:
        nodes: as they were asked for.
        known: full names of all nodes of the pipelines that are run.

    Raises:
        ConfigError: a node is not there, or several are meant; the message names the nearest.
    """
    known, found = sorted(known), []
    for name in nodes:
        meant = [one for one in known if one == name or one.endswith(f".{name}")]
        if len(meant) != 1:
            short = {one.rpartition(".")[2]: one for one in known}
            near = meant or [short[one] for one in difflib.get_close_matches(name, short, n=1)]
            hint = f"Did you mean {' or '.join(near)}?" if near else "`kedro viz run` shows them"
            problem = f"{len(meant)} nodes {name!r}" if meant else f"no node {name!r}"
            raise ConfigError(problem, "one of the pipelines that are run", hint)
        found += meant
    return found


def run_options() -> list[click.Parameter]:
    """Kedro's options of `run`: `--params` takes lists too, and paths stay inside."""
    options = {option.name: copy.copy(option) for option in kedro_run.params}
    options["conf_source"].type = ProjectPath()
    options["config"].type = ProjectPath(exists=True, dir_okay=False, resolve_path=True)
    options["config"].callback = checked(options["config"].callback)
    # the file of --config gives them as they are
    options["params"].callback = lambda _context, _option, value: (
        run_parameters(value) if isinstance(value, str) else value
    )
    return list(options.values())


@cli.command(name="run", params=run_options(), context_settings=kedro_run.context_settings)
def run(**options: Any) -> Any:
    """Train, backtest, forecast and report (all of Kedro's options)."""
    from lifemiles_forecasting.hooks import guard

    with clear_errors():
        names = [*options["pipelines"], *filter(None, [options["pipeline"]])]
        check_pipelines(names)
        check_runner(options["runner"])
        if any(options[option] for option in FILTERS):
            chosen = names or ["__default__"]
            known = node_names(chosen)
            options |= {option: full_names(options[option], known) for option in NODE_OPTIONS}
            check_selection(options, chosen)
        try:
            return kedro_run.callback(**options)
        except Exception as error:
            guard.close("FAILED")
            if go_on_without_store(error):
                return None
            raise
        except BaseException:  # Ctrl-C and SIGTERM
            guard.close("KILLED")
            raise


@cli.command()
@click.option("--experiment-id", metavar="ID", help="The training runs of this experiment.")
@click.option("--best-models", is_flag=True, help="The best training runs and store models.")
@click.option("--store", metavar="ID", help="One store over time, or with --best-models its best.")
@click.option(
    "--compare",
    nargs=2,
    metavar="RUN_A RUN_B",
    help="Two training runs side by side: metrics, parameters that differ, and the stores that "
    "got better or worse. A run id, the beginning of one, or a run name.",
)
@click.option(
    "--champion", is_flag=True, help="The registered model: its champion and its challenger."
)
@click.option("--top", type=click.IntRange(1, 50_000), default=10, show_default=True, help="Rows.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="csv of --best-models holds the store models, that of --compare the stores.",
)
@click.option("--serve", is_flag=True, help="Start the MLflow UI.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="For --serve."
)
@click.option(
    "--host",
    default=LOOPBACK,
    show_default=True,
    help="For --serve. Any other than this machine's own lets other machines in, without a login.",
)
@env_option
@click.pass_context
def explore(context: click.Context, **options: Any) -> None:
    """Look at past runs; without options, list the experiments."""
    from kedro.utils import find_kedro_project

    from lifemiles_forecasting import explore as exploring

    usual = click.core.ParameterSource.DEFAULT
    exploring.check_options({n for n in options if context.get_parameter_source(n) != usual})
    metadata = context.obj
    project = metadata.project_path if metadata else find_kedro_project(Path.cwd()) or Path.cwd()
    with clear_errors():
        stores = exploring.find_stores(Path(project), options["env"])
        if options["serve"]:
            exploring.serve(stores.tracking, options["port"], options["host"])
            return
        question = exploring.Question(
            experiment_id=options["experiment_id"],
            best_models=options["best_models"],
            store_id=options["store"],
            compare=options["compare"],
            champion=options["champion"],
            top=options["top"],
        )
        exploring.explore(stores, question, options["form"])
