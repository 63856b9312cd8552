"""Kedro's configuration loader, which hands out nothing that `config_checks` would refuse."""

from __future__ import annotations

from typing import Any

import yaml
from kedro.config import OmegaConfigLoader

from lifemiles_forecasting import config_checks
from lifemiles_forecasting.core.errors import ConfigError


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
            ConfigError: a file asks for an object, as `!!python/object` does, a value of the
                environment holds a reference, or the catalog a type that is not allowed.
        """
        try:
            found = super().__getitem__(key)
        except yaml.constructor.ConstructorError as error:
            raise ConfigError(
                f"{error.problem} in one of the files {key}* in {self.conf_source}",
                "plain YAML: text, numbers, lists and groups",
            ) from None
        if key == "globals":
            config_checks.check_globals(found)
        elif key == "catalog":
            config_checks.check_catalog(found)
        return found
