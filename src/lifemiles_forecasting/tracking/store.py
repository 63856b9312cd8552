"""The MLflow tracking store: its address, whether it answers, and how SQLite writes."""

from __future__ import annotations

import http.client
import os
import re
import socket
import sqlite3
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lifemiles_forecasting.core.errors import TrackingError

DEFAULT_URI = "sqlite:///mlflow.db"
PATIENCE_SECONDS = 3.0
_SQLITE = "sqlite:///"
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_REMOTE_NAMES = {"databricks", "databricks-uc", "uc"}
_GATEWAY_ERRORS = {502, 503, 504}  # MLflow would retry these for minutes
_HINT = "Check MLFLOW_TRACKING_URI (or conf/base/mlflow.yml) and that the server is running"


def absolute_uri(uri: str | None, project_path: Path) -> str:
    """Anchor the tracking URI at the project, so that it does not move with the current folder.

    Args:
        uri: as configured; nothing or an empty text means the project's own SQLite file.
        project_path: root of the project.
    """
    uri = uri or DEFAULT_URI
    if not uri.startswith(_SQLITE):
        return uri
    path, mark, query = uri.removeprefix(_SQLITE).partition("?")
    if not path or path == ":memory:":
        return uri
    return f"{_SQLITE}{(Path(project_path) / path).as_posix()}{mark}{query}"


def sqlite_path(uri: str) -> Path | None:
    """The file behind a SQLite tracking URI; nothing for any other store."""
    path = uri.removeprefix(_SQLITE).partition("?")[0]
    return Path(path) if uri.startswith(_SQLITE) and path not in {"", ":memory:"} else None


def artifact_location(uri: str, project_path: Path) -> str | None:
    """Where the artifacts of a new experiment go; nothing when the server decides.

    Args:
        uri: the absolute tracking URI.
        project_path: root of the project.
    """
    path = sqlite_path(uri)
    if path is not None:
        return (path.parent / "mlruns").as_uri()
    if _dialect(uri) in _DATABASE_PORTS:
        return (Path(project_path) / "mlruns").resolve().as_uri()
    return None


def without_credentials(uri: str) -> str:
    """The URI as it may be shown: no user, no password, no query."""
    address, _, query = uri.partition("?")
    if uri.startswith("sqlite"):
        return address
    if "@" in query:  # a password may hold a question mark: what is what cannot be told
        return uri.partition("://")[0] + "://..."
    return re.sub(r"(?<=://).*@", "", address)


def has_content(uri: str) -> bool:
    """Whether there is a store to read at all: a SQLite file that is not there yet has nothing."""
    path = sqlite_path(uri)
    return path is None or (path.is_file() and path.stat().st_size > 0)


def probe(uri: str, patience: float = PATIENCE_SECONDS) -> None:
    """Make sure within seconds that the tracking store is there, before hours of training.

    Args:
        uri: the absolute tracking URI.
        patience: seconds to wait for an answer.

    Raises:
        TrackingError: it is not; the message names the URI without its credentials.
    """
    path = sqlite_path(uri)
    if path is not None:
        problem = _sqlite_problem(path)
    elif uri.startswith(("http://", "https://")):
        problem = _answer_within(patience, lambda: _http_problem(uri, patience))
    elif _dialect(uri) in _DATABASE_PORTS:
        problem = _answer_within(patience, lambda: _port_problem(uri, patience))
    elif uri.startswith("file:") or ("://" not in uri and uri not in _REMOTE_NAMES):
        problem = "MLflow no longer tracks into a folder of files"
    else:
        problem = ""
    if problem:
        raise TrackingError(
            f"no usable MLflow tracking store at {without_credentials(uri)} ({problem})",
            "a SQLite file (sqlite:///FILE), a database or an MLflow server that answers",
            _HINT,
        )


def tune_sqlite() -> None:
    """Make commits to SQLite cheap (12 ms down to 1 ms), for every connection opened from now on.

    The write-ahead log with `synchronous=NORMAL` survives a crash of the program; it is not for
    network disks. Other databases are left alone.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    if not event.contains(Engine, "connect", _tune_connection):
        event.listen(Engine, "connect", _tune_connection)


def switch_telemetry_off() -> None:
    """Keep MLflow from reporting home, unless MLFLOW_DISABLE_TELEMETRY says otherwise."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.telemetry import set_telemetry_client

    set_telemetry_client()  # it was made when MLflow was imported, before it could be told


def _tune_connection(connection: Any, _record: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA busy_timeout = 30000")
        mode = cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode == "wal":  # without the log, NORMAL could lose the database with the power
            cursor.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.OperationalError:
        return  # a read-only or busy file works as it is, only slower
    finally:
        cursor.close()


def _dialect(uri: str) -> str:
    scheme = uri.partition("://")[0].partition("+")[0]
    return "postgresql" if scheme == "postgres" else scheme


def _sqlite_problem(path: Path) -> str:
    if path.is_dir():
        return "it is a folder"
    if path.exists():
        return _database_problem(path) if os.access(path, os.W_OK) else "it cannot be written to"
    parent = next(folder for folder in path.parents if folder.exists())
    if not parent.is_dir():
        return f"{parent} is not a folder"
    return "" if os.access(parent, os.W_OK) else f"{parent} cannot be written to"


def _database_problem(path: Path) -> str:
    connection = sqlite3.connect(path, timeout=PATIENCE_SECONDS)
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:
        return "" if "locked" in str(error) else str(error)
    finally:
        connection.close()
    return ""


def _http_problem(uri: str, patience: float) -> str:
    url = without_credentials(uri).rstrip("/") + "/health"
    try:
        urllib.request.urlopen(url, timeout=patience).close()  # noqa: S310 - http(s) only, see probe
    except urllib.error.HTTPError as error:
        answered = error.code not in _GATEWAY_ERRORS
        return "" if answered else f"its gateway answers {error.code} {error.reason}"
    except urllib.error.URLError as error:
        # a certificate of one's own is MLflow's to judge: it knows where to look for it
        return "" if isinstance(error.reason, ssl.SSLError) else _reason(error.reason)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _reason(error)
    return ""


def _port_problem(uri: str, patience: float) -> str:
    try:
        parts = urlsplit(uri)
        address = parts.hostname or "localhost", parts.port or _DATABASE_PORTS[_dialect(uri)]
        socket.create_connection(address, timeout=patience).close()
    except (OSError, ValueError) as error:
        return _reason(error)
    return ""


def _reason(error: object) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _answer_within(patience: float, ask: Callable[[], str]) -> str:
    """Ask in a thread: looking up a host name has no timeout of its own."""
    answer: list[str] = []
    thread = threading.Thread(target=lambda: answer.append(ask()), daemon=True)
    thread.start()
    thread.join(patience + 0.5)
    return answer[0] if answer else f"no answer within {patience:g} seconds"
