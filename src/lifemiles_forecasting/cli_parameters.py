"""What `kedro run --params` says, as a dictionary."""

from __future__ import annotations

import re
from typing import Any

import click
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

# up to the next comma that is in no list and in no quotes
_ITEM = re.compile(r"""(?:=\s*(?:\[[^\]]*\]|'[^']*'|"[^"]*")|[^,])+""")


def run_parameters(text: str) -> dict[str, Any]:
    """Read the value of `--params`.

    Kedro's own reading parts it at every comma, within a list as well. Values are YAML; but store
    ids are text, and to YAML 0101_0007 is a number.

    >>> run_parameters("horizon=14,modeling.candidates=[base,ets],stores=[0101_0007]")
    {'horizon': 14, 'modeling': {'candidates': ['base', 'ets']}, 'stores': ['0101_0007']}

    Raises:
        click.BadParameter: a part is not `name=value`, or its value is no YAML.
    """
    parameters = OmegaConf.create()
    for item in filter(None, map(str.strip, _ITEM.findall(text))):
        name, _, value = (part.strip() for part in item.partition("="))
        if not name or "=" not in item:
            raise click.BadParameter(f"found {item!r}; expected name=value")
        try:
            if name == "stores":
                OmegaConf.update(parameters, name, _texts(value))
            else:
                parameters.merge_with_dotlist([f"{name}={value}"])
        except (yaml.YAMLError, OmegaConfBaseException):
            raise click.BadParameter(
                f"found {item!r}; expected a value or a list such as [base,ets], quoted where it "
                "holds signs of YAML"
            ) from None
    return OmegaConf.to_container(parameters)


def _texts(listed: str) -> list[str]:
    items = (item.strip().strip("'\"") for item in listed.strip("[]").split(","))
    return [item for item in items if item]
