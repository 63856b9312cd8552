"""What the file of `kedro run --config` may say: options, under the name of the command.

Kedro imports this module at every command, so what is heavy is imported inside.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import click
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lifemiles_forecasting.cli_errors import clear_errors
from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.names import did_you_mean

_GROUPS = {"params", "runner_params"}  # the options that may be groups


def checked(apply: Callable[..., Any]) -> Callable[..., Any]:
    """Kedro's own reading of `--config`, of a file that it can read.

    Args:
        apply: its callback.
    """

    def callback(context: click.Context, option: click.Parameter, value: str | None) -> Any:
        if value:
            known = [one.name for one in context.command.params if one.name != "config"]
            with clear_errors():
                check_options(_content(Path(value)), context.info_name or "", known, value)
        return apply(context, option, value)

    return callback


def _content(path: Path) -> Any:
    """What a file holds.

    Raises:
        ConfigError: it is no YAML.
    """
    try:
        return OmegaConf.to_container(OmegaConf.load(path))
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
        words = getattr(error, "problem", None) or str(error).partition("\n")[0]
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1} of {path}" if mark else path
        raise ConfigError(
            f"{words.removeprefix('found ')} in {where}", "the YAML of a file for --config"
        ) from None


def check_options(content: Any, command: str, known: Collection[str], file: str) -> None:
    """Make sure that a file holds options of the command, as they are given in a line.

    Args:
        content: of the file.
        command: its name.
        known: names of its options.
        file: for the message.

    Raises:
        ConfigError: it does not.
    """
    options = content.get(command) if isinstance(content, Mapping) else None
    if not isinstance(options, Mapping):
        raise ConfigError(
            f"no group {command!r} in {file}", "it, with options of the command under it"
        )
    for name, value in options.items():
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise ConfigError(
                f"no option {name!r}, which is in {file}", f"one of {', '.join(known)}", hint
            )
        if isinstance(value, list) or (isinstance(value, Mapping) and name not in _GROUPS):
            raise ConfigError(
                f"{name} = {value!r} in {file}", f"text, such as `{name}: one,another`"
            )
