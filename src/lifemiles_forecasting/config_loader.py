"""Kedro's configuration loader, which hands out nothing that `config_checks` would refuse."""

from __future__ import annotations

from typing import Any

import yaml
from kedro.config import OmegaConfigLoader
from omegaconf.errors import ConfigTypeError

from lifemiles_forecasting import config_checks
from lifemiles_forecasting.core.errors import ConfigError

_PLAIN = "plain YAML: text, numbers, lists and groups"
_INVALID, _DUPLICATE = "Invalid YAML or JSON file ", "Duplicate keys found in "  # Kedro's words


class CheckedConfigLoader(OmegaConfigLoader):
    """Kedro's loader, for every command that builds something from the files of conf/.

    Args:
        conf_source: as in Kedro.
        env: as in Kedro.
        runtime_params: as in Kedro; plain values only.
        **others: as in Kedro.

    Raises:
        ConfigError: a run-time parameter holds a reference.
    """

    def __init__(
        self,
        conf_source: str,
        env: str | None = None,
        runtime_params: dict[str, Any] | None = None,
        **others: Any,
    ) -> None:
        config_checks.check_runtime_parameters(runtime_params or {})
        super().__init__(conf_source, env=env, runtime_params=runtime_params, **others)

    def __getitem__(self, key: str) -> dict[str, Any]:
        """One kind of configuration file, as `parameters` or `catalog`.

        Raises:
            ConfigError: a file is no plain YAML or asks for an object, as `!!python/object` does,
                two of an environment hold the same key, a group is none, a value of the environment
                holds a reference, or the catalog a type that is not allowed.
        """
        try:
            found = super().__getitem__(key)
        except (yaml.YAMLError, UnicodeDecodeError, ConfigTypeError) as error:
            where = f"in one of the files {key}* in {self.conf_source}"
            raise ConfigError(_problem(error, where), _PLAIN) from None
        except ValueError as error:
            if not str(error).startswith(_DUPLICATE):
                raise
            files = " and ".join(str(error).removeprefix(_DUPLICATE).splitlines())
            raise ConfigError(
                f"the same key in {files.replace(_DUPLICATE, '')}",
                "each key in one file of an environment",
                "Take it out of one of them",
            ) from None
        if key == "globals":
            config_checks.check_globals(found)
        elif key == "catalog":
            config_checks.check_catalog(found)
        return found


def _problem(error: Exception, where: str) -> str:
    """What is wrong with a file, and its name and line if they are known."""
    if isinstance(error, ConfigTypeError):
        return f"a list in the place of a group {where}"
    if isinstance(error, UnicodeDecodeError):
        return f"bytes that are no UTF-8 ({error.reason}) {where}"
    if isinstance(error, yaml.composer.ComposerError):  # without its words: it may be a password
        return f"text that begins with * or & and is not quoted {where}"
    cause = error.__cause__
    if isinstance(cause, yaml.MarkedYAMLError):  # Kedro knows the file, and counts from nought
        file = str(error).removeprefix(_INVALID).partition(", unable to read")[0]
        words = str(cause.problem).removeprefix("found ")
        return f"{words} in line {cause.problem_mark.line + 1} of {file}"
    words = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"{words.removeprefix('found ')} {where}"
