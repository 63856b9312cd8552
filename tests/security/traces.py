"""Everything that a project has left behind, as text that can be searched."""

import io
import sqlite3
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd


def contents(name, content):
    """A file's name and what is in it, unpacked; names and texts of what it holds."""
    yield name, content.decode("utf-8", "replace")
    if name.endswith(".parquet"):
        yield name, pd.read_parquet(io.BytesIO(content)).to_csv()
    elif name.endswith(".npz"):
        with np.load(io.BytesIO(content)) as arrays:
            for key in arrays:
                yield f"{name}/{key}", "\n".join(map(str, arrays[key].ravel()))
    elif name.endswith(".tar.gz"):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                if member.isfile():
                    yield from contents(f"{name}/{member.name}", archive.extractfile(member).read())


def database_rows(file):
    """Every row of every table of a SQLite file; what waits in its log beside it is in."""
    connection = sqlite3.connect(file)
    try:
        yield from connection.iterdump()
    finally:
        connection.close()


def traces(folder, without=()):
    """Name and text of everything under a folder, databases and archives included.

    Args:
        folder: where to look.
        without: paths relative to it that are left out.
    """
    for file in sorted(Path(folder).rglob("*")):
        name = str(file.relative_to(folder))
        if not file.is_file() or any(name == one or name.startswith(f"{one}/") for one in without):
            continue
        yield from contents(name, file.read_bytes())
        if file.suffix == ".db":
            yield f"rows of {name}", "\n".join(database_rows(file))
