"""Project settings: read by Kedro at every command, so nothing heavy is imported here."""

from datetime import datetime

from omegaconf.resolvers import oc

from lifemiles_forecasting.config_loader import CheckedConfigLoader
from lifemiles_forecasting.failed_stores import FailedStoresHooks
from lifemiles_forecasting.hooks import ForecastingHooks


def _now(pattern: str) -> str:
    """Local time by a `strftime` pattern: `${now:%Y%m%d_%H%M%S}` in a configuration file."""
    return datetime.now().astimezone().strftime(pattern)


def _or_else(text: str, usual: str) -> str:
    """A text where there is one: `${or_else:${oc.env:NAME,""},usual}` in a configuration file."""
    return text or usual


HOOKS = (ForecastingHooks(), FailedStoresHooks())

CONFIG_LOADER_CLASS = CheckedConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {"mlflow": ["mlflow*", "mlflow*/**", "**/mlflow*"]},
    # Kedro turns OmegaConf's own resolvers off; these are the ones our configuration uses.
    "custom_resolvers": {"now": _now, "or_else": _or_else, "oc.env": oc.env},
    # What a run is handed chooses no class.
    "restrict_runtime_params_type_selection": True,
    # Without a soft merge, one key in an environment wipes the rest of its group.
    "merge_strategy": {"parameters": "soft", "mlflow": "soft", "globals": "soft"},
}
