"""Every kind of damage with 25 seeds: right, in the quarantine with its reason, or one error."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest
from damage import KINDS
from damaged_folders import wrong

SEEDS = range(25)

pytestmark = pytest.mark.torture


@pytest.fixture(scope="module")
def workers() -> Iterator[ProcessPoolExecutor]:
    """Started afresh: a database does not survive a fork."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=spawn) as pool:
        yield pool


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_damage_with_every_seed(kind, workers):
    found = zip(SEEDS, workers.map(partial(wrong, kind), SEEDS), strict=True)
    assert {seed: differences for seed, differences in found if differences} == {}
