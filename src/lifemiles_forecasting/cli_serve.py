"""`kedro serve`: the model in charge answers questions over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.utils import env_option

from lifemiles_forecasting.cli_errors import clear_errors
from lifemiles_forecasting.core.hosts import LOOPBACK, exposure, in_address
from lifemiles_forecasting.tracking.names import CHAMPION, REGISTERED_MODEL

PORT = 5001  # 5000 is the MLflow UI's


@click.command()
@click.option("--alias", default=CHAMPION, show_default=True, help="Of the version to serve.")
@click.option(
    "--version", type=click.IntRange(min=1), metavar="N", help="Its number, in place of the alias."
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=PORT, show_default=True, help="To listen on."
)
@click.option(
    "--host",
    default=LOOPBACK,
    show_default=True,
    help="Any other than this machine's own lets other machines in, without a login.",
)
@env_option
@click.pass_obj
def serve(metadata: Any, alias: str, version: int | None, env: str | None, **address: Any) -> None:
    """Answer questions for forecasts over HTTP, on this machine, until Ctrl-C."""
    from kedro.utils import find_kedro_project

    from lifemiles_forecasting.explore import find_stores
    from lifemiles_forecasting.tracking import serving

    project = metadata.project_path if metadata else find_kedro_project(Path.cwd()) or Path.cwd()
    with clear_errors():
        stores = find_stores(Path(project), env)
        serving.check_port(**address)
        one = serving.load_version(stores.tracking, stores.registry, version, alias)
        if warning := exposure(address["host"]):
            click.echo(f"Warning: {warning}", err=True)
        click.echo(
            f"Version {one.version} of {REGISTERED_MODEL}, trained until "
            f"{one.fleet.trained_until}, will answer at "
            f"http://{in_address(address['host'])}:{address['port']}/invocations (Ctrl-C ends it)",
            err=True,
        )
        serving.become_server(one.version, **address)
