"""Every example in a docstring of the core runs."""

import doctest
import importlib
import pkgutil

import pytest

from lifemiles_forecasting import core

MODULES = [m.name for m in pkgutil.walk_packages(core.__path__, f"{core.__name__}.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
