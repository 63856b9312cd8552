"""Sums over the stores of a partner."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifemiles_forecasting.core.partners import membership


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(1, 4))
def test_products_are_sums_by_partner_and_look_ups_by_store(partner, days):
    partner = np.array(partner)
    values = np.arange(len(partner) * days, dtype=float).reshape(-1, days)
    members = membership(partner)
    codes = range(partner.max() + 1)
    sums = np.array([values[partner == code].sum(axis=0) for code in codes])
    np.testing.assert_allclose(members.T @ values, sums)
    np.testing.assert_allclose(members @ sums, sums[partner])


def test_a_partner_for_every_store_needs_no_more_than_a_cell_for_each():
    members = membership(np.arange(10_000))
    assert members.nnz == 10_000
    assert members.shape == (10_000, 10_000)


@pytest.mark.parametrize("axis", [0, 1])
def test_no_store_has_no_partner(axis):
    assert membership(np.zeros(0, int)).shape[axis] == 0
