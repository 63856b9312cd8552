"""One clear message in place of a traceback, for every command."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from lifemiles_forecasting.core.errors import ForecastingError

TRACEBACK_VARIABLE = "LIFEMILES_TRACEBACK"

logger = logging.getLogger(__name__)


def forecasting_error(error: BaseException) -> ForecastingError | None:
    """The error that a user can act on, in an exception or what caused it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ForecastingError):
            return seen
        seen = seen.__cause__
    return None


@contextmanager
def clear_errors() -> Iterator[None]:
    """End with one clear message where there is one; other errors keep their traceback.

    `LIFEMILES_TRACEBACK=1` keeps every traceback; at log level DEBUG it is logged.

    Raises:
        click.ClickException: in place of a `ForecastingError` anywhere in the chain of causes.
    """
    try:
        yield
    except Exception as error:
        known = forecasting_error(error)
        if known is None or os.environ.get(TRACEBACK_VARIABLE):
            raise
        logger.debug("The traceback of the error", exc_info=error)
        raise click.ClickException(str(known)) from None
