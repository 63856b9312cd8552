"""A made-up run of twelve stores and its report."""

import pytest
from report_page import SETTINGS, content_of

from lifemiles_forecasting.core.synthetic_run import synthetic_run
from lifemiles_forecasting.report.html import render_report


@pytest.fixture(scope="session")
def content():
    return content_of(synthetic_run(12))


@pytest.fixture(scope="session")
def page(content):
    return render_report(content, SETTINGS)
