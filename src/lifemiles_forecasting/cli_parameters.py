"""What `kedro run --params` says, as a dictionary."""

from __future__ import annotations

import re
from typing import Any

import click
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lifemiles_forecasting.config_checks import PLACES, numbers_of_another_base

# up to the next comma that is in no list and in no quotes
_ITEM = re.compile(r"""(?:=\s*(?:\[[^\]]*\]|'[^']*'|"[^"]*")|[^,])+""")
_NOTHING = {"", "null", "Null", "NULL"}


def run_parameters(text: str) -> dict[str, Any]:
    """Read the value of `--params`.

    Kedro's own reading parts it at every comma, within a list as well. Values are YAML; but store
    ids are text, and to YAML 0101_0007 is a number; and so are paths, which it cuts at " #".

    >>> run_parameters("horizon=14,modeling.candidates=[base,ets],stores=[0101_0007]")
    {'horizon': 14, 'modeling': {'candidates': ['base', 'ets']}, 'stores': ['0101_0007']}

    Raises:
        click.BadParameter: a part is not `name=value`, or its value is no YAML, or more than that.
    """
    parameters = OmegaConf.create()
    for item in filter(None, map(str.strip, _ITEM.findall(text))):
        name, _, value = (part.strip() for part in item.partition("="))
        if not name or "=" not in item:
            raise click.BadParameter(f"found {item!r}; expected name=value")
        try:
            if name == "stores":
                OmegaConf.update(parameters, name, _texts(value))
            elif name in PLACES:
                OmegaConf.update(parameters, name, _text(value))
            else:
                _check_whole(value)
                parameters.merge_with_dotlist([f"{name}={value}"])
        except (yaml.YAMLError, OmegaConfBaseException):
            raise click.BadParameter(
                f"found {item!r}; expected a value or a list such as [base,ets], quoted where it "
                "holds signs of YAML"
            ) from None
    return OmegaConf.to_container(parameters)


def _text(value: str) -> str | None:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else None if value in _NOTHING else value


def _texts(listed: str) -> list[str] | None:
    if listed in _NOTHING - {""}:
        return None
    items = (item.strip().strip("'\"") for item in listed.strip("[]").split(","))
    return [item for item in items if item]


def _check_whole(value: str) -> None:
    """Make sure that YAML takes all of a value, and takes it for what stands in one line.

    Raises:
        yaml.YAMLError: it would leave out what comes after " #", or see a name before ": ", or take
            014 for 12.
    """
    node = yaml.compose(value, Loader=yaml.SafeLoader)
    if node is None:
        whole = not value
    else:
        scalar = isinstance(node, yaml.ScalarNode)
        whole = node.end_mark.index == len(value) and (scalar or node.flow_style)
    if not whole or any(numbers_of_another_base(node)):
        raise yaml.YAMLError(value)
