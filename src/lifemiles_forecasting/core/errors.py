"""Errors that a user can act on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lifemiles_forecasting.core.names import printable


class ForecastingError(Exception):
    """One clear message: what was found, what was expected, and what to do.

    It ends up on a terminal and may quote a file, so no escape sequence of it stays.

    Args:
        found: what is there, with file and column where they apply.
        expected: what should be there.
        hint: what the reader can do about it.
    """

    def __init__(self, found: str, expected: str, hint: str = "") -> None:
        self.found, self.expected, self.hint = map(_printable, (found, expected, hint))
        message = f"found {self.found}; expected {self.expected}"
        super().__init__(message + (f". {self.hint}" if hint else ""))

    def __reduce__(self) -> tuple:  # survives the way back from a worker process
        return type(self), (self.found, self.expected, self.hint)


class InputError(ForecastingError):
    """An input file cannot be used."""


class ConfigError(ForecastingError):
    """A parameter is unknown or has a value that cannot be used."""


class TrackingError(ForecastingError):
    """The MLflow tracking store cannot be used."""


class LostStoreError(TrackingError):
    """The tracking store went away in the middle of a run.

    Attributes:
        outputs: folder of the run's outputs, if the run can be gone on with; None otherwise.
    """

    outputs: Path | None = None


class FullDiskError(ForecastingError):
    """There is no room left on a disk that is written to."""


class ClusterError(ForecastingError):
    """The cluster that store work was given to cannot be used."""


class LeakError(ForecastingError):
    """Something that is computed for an origin depends on the days after it."""


class TooManyFailuresError(ForecastingError):
    """More stores failed than a run may lose and still count as done."""


def _printable(text: str) -> str:
    """A text whose lines are printable; breaks, as of another program's words, stay."""
    lines = (line.replace("\t", " ") for line in text.split("\n"))
    return "\n".join(map(printable, lines))


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what caused it or was being handled when it came, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
