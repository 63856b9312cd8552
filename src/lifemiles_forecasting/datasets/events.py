"""The optional file of planned events."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.datasets.csv_records import LINE_END
from lifemiles_forecasting.datasets.text_files import check_bytes, open_bytes


class EventFile:
    """A CSV file, plain or .gz, not looked into yet.

    Args:
        path: where it is; None for no events.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """The file's name; empty without one."""
        return "" if self._path is None else self._path.name

    def read(self) -> str | None:
        """The file's text; None without a file.

        Raises:
            InputError: it is missing, broken or not UTF-8.
        """
        if self._path is None:
            return None
        if not self._path.is_file():
            raise InputError(
                f"no file {self._path}",
                "the CSV file of the planned events there",
                "Name another with --params=events=FILE.",
            )
        check_bytes(self._path)
        with open_bytes(self._path) as stream:
            content = stream.read()
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = content[: error.start].decode("utf-8", errors="replace")
            line = len(LINE_END.findall(before)) + 1
            raise InputError(
                f"bytes that are not UTF-8 in line {line} of {self.name}", "text in UTF-8"
            ) from None


class EventFileDataset(AbstractDataset[None, EventFile]):
    """The file of planned events as a catalog entry; it is only ever read.

    Example of a catalog entry::

        events:
          type: lifemiles_forecasting.datasets.events.EventFileDataset
          filepath: conf/local/events.csv

    Args:
        filepath: the file, absolute or relative to the project; None for no events.
        metadata: for Kedro-Viz and other plugins.
    """

    def __init__(
        self, *, filepath: str | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        self._path = None if filepath is None else Path(filepath)
        self.metadata = metadata

    def load(self) -> EventFile:
        """Hand out the file; it is looked into when it is read, for errors to be plain."""
        return EventFile(self._path)

    def save(self, data: None) -> NoReturn:
        """Refuse: the plan is not ours to write.

        Raises:
            DatasetError: always.
        """
        raise DatasetError(f"{self} is read only")

    def _exists(self) -> bool:
        return self._path is None or self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": None if self._path is None else str(self._path)}
