"""`kedro models`: which version of the model of all stores is in charge, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.utils import env_option

from lifemiles_forecasting.cli_errors import clear_errors

FORMATS = click.Choice(["table", "json", "csv"])


@click.group()
def models() -> None:
    """Versions of the model of all stores: show, promote, roll back."""


@models.command()
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
@env_option
@click.pass_obj
def show(metadata: Any, form: str, env: str | None) -> None:
    """Every version: its role, when it was trained, its figures, and what the gate said."""
    from lifemiles_forecasting.rendering import RENDERERS
    from lifemiles_forecasting.tracking.registry import version_rows

    with clear_errors():
        rows = version_rows(_open(metadata, env))
        if not rows:
            click.echo("No version yet. A `kedro run` without max_stores registers one.", err=True)
        click.echo(RENDERERS[form]({"versions": rows}), nl=False)


@models.command()
@click.argument("version", type=click.IntRange(min=1))
@env_option
@click.pass_obj
def promote(metadata: Any, version: int, env: str | None) -> None:
    """Put VERSION in charge, whatever the gate said of it."""
    with clear_errors():
        one = _open(metadata, env).promote(version)
        click.echo(f"Version {one.version} of {one.name} is the champion.", err=True)


@models.command()
@env_option
@click.pass_obj
def rollback(metadata: Any, env: str | None) -> None:
    """Put the champion before today's in charge again."""
    with clear_errors():
        now, left = _open(metadata, env).rollback()
        click.echo(
            f"Version {now.version} of {now.name} is the champion again, in place of "
            f"version {left.version}.",
            err=True,
        )


def _open(metadata: Any, env: str | None) -> Any:
    """The registry of the project; nothing is created where there is none."""
    from kedro.utils import find_kedro_project

    from lifemiles_forecasting.explore import find_stores
    from lifemiles_forecasting.tracking.registry import open_registry
    from lifemiles_forecasting.tracking.store import clear_schema_errors

    project = metadata.project_path if metadata else find_kedro_project(Path.cwd()) or Path.cwd()
    stores = find_stores(Path(project), env)
    with clear_schema_errors(stores.tracking):
        return open_registry(stores.tracking, stores.registry)
