"""Paths on the command line: inside the project, unless they say otherwise.

Kedro imports this module at every command, so what is heavy is imported inside.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from lifemiles_forecasting.cli_errors import clear_errors
from lifemiles_forecasting.core.errors import ConfigError


class ProjectPath(click.Path):
    """A path of the folder that the command is called from, which must lie inside the project.

    One that is absolute, or an address such as s3://bucket/conf, says that it leads elsewhere.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check the text of the argument, then treat it as click does."""
        if isinstance(value, str) and "://" in value and not value.startswith("file:"):
            return value
        name = param.human_readable_name if param else "path"
        with clear_errors():
            check_stays_inside(name, str(value), Path.cwd())
        return super().convert(value, param, ctx)


def check_stays_inside(name: str, path: str, folder: Path) -> None:
    """Make sure that a relative path does not climb out of the project, and has no ~ in front.

    Args:
        name: of the argument, for the message.
        path: as given.
        folder: that the command is called from; outside of any project every path is elsewhere.

    Raises:
        ConfigError: it does.
    """
    from kedro.utils import find_kedro_project

    from lifemiles_forecasting.core.paths import WRITTEN_OUT

    if path.startswith("~"):  # not by itself, but in --option=~/folder, shells leave it as it is
        raise ConfigError(f"{name} {path!r}", WRITTEN_OUT)
    project = find_kedro_project(folder)
    if project is None or Path(path).is_absolute():
        return
    # by its text: a link inside the project is the user's own way of saying where things are
    if not Path(os.path.abspath(folder / path)).is_relative_to(project):  # noqa: PTH100
        raise ConfigError(
            f"{name} {path!r}, which leads out of the project {project}",
            "a path inside it, or an absolute one, which may lead anywhere",
        )
