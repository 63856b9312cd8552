"""Every example in a docstring of the core, and of what tests make, runs."""

import doctest
import importlib
import pkgutil

import damage
import pytest

from lifemiles_forecasting import core

MODULES = [
    m.name
    for package in (core, damage)
    for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]
MODULES.append(damage.__name__)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
