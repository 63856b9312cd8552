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
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from lifemiles_forecasting.core.errors import TrackingError, causes
from lifemiles_forecasting.core.hosts import is_web_address

DEFAULT_URI = "sqlite:///mlflow.db"
PATIENCE_SECONDS = 3.0
BUSY_SECONDS = 30.0  # another run may write, or `kedro tracking prune` delete
LOGIN_SECONDS = 30.0  # a server or database that answers may open its own store first
_SQLITE = "sqlite:///"
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_REMOTE_NAMES = {"databricks", "databricks-uc", "uc"}
_GATEWAY_ERRORS = {502, 503, 504}  # MLflow would retry these for minutes
_VARIABLES = {"tracking store": "MLFLOW_TRACKING_URI", "model registry": "MLFLOW_REGISTRY_URI"}
_UNREADABLE = "no address: signs such as @ / ? # in a user or password must be percent-encoded"
_LOGIN_VARIABLES = "MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN"


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
    return f"{sqlite_uri(Path(project_path) / unquote(path))}{mark}{query}"


def sqlite_uri(path: Path) -> str:
    """The URI of a SQLite file.

    SQLAlchemy decodes %xx in it and cuts it at a question mark, so these are encoded. Nothing else
    is: MLflow makes the folders of a URI without decoding it, so it leaves empty ones behind.

    >>> sqlite_uri(Path("/My%20Project/100 %/mlflow.db"))
    'sqlite:////My%2520Project/100 %/mlflow.db'
    """
    encoded = re.sub(r"%(?=[\da-fA-F]{2})|\?", lambda sign: quote(sign[0]), path.as_posix())
    return _SQLITE + encoded


def sqlite_path(uri: str) -> Path | None:
    """The file behind a SQLite tracking URI; nothing for any other store."""
    path = unquote(uri.removeprefix(_SQLITE).partition("?")[0])
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
    if "://" not in address:  # and so no address: a slash may be missing
        return address.rpartition("@")[2] if re.search(r":.*@", address) else address
    if "@" in query:  # a password may hold a question mark: what is what cannot be told
        return uri.partition("://")[0] + "://..."
    return re.sub(r"(?<=://).*@", "", address)


def credentials_to_environment(uri: str) -> str:
    """Hand the user and password in a server's address to MLflow by its environment variables.

    MLflow prints the address it is given: at the end of every run, and in what it raises.

    Args:
        uri: a tracking URI; one that is not a server's, or has no password, stays as it is.

    Returns:
        The address alone.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:  # no address at all, which `probe` says better
        return uri
    if parts.scheme not in {"http", "https"} or not (parts.username and parts.password):
        return uri
    os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
    os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def has_content(uri: str) -> bool:
    """Whether there is a store to read at all: a SQLite file that is not there yet has nothing."""
    path = sqlite_path(uri)
    return path is None or (path.is_file() and path.stat().st_size > 0)


def probe(
    uri: str,
    patience: float = PATIENCE_SECONDS,
    store: str = "tracking store",
    busy: float | None = None,
) -> None:
    """Make sure within seconds that an MLflow store lets us in, before hours of training.

    MLflow itself would try again for minutes, also with a wrong password.

    Args:
        uri: the absolute URI.
        patience: seconds to wait for an answer.
        store: what it is: `tracking store` or `model registry`.
        busy: of who will write to it: seconds to wait for others that write to a SQLite file.

    Raises:
        TrackingError: it is not there, or refuses us; the message names the URI without its
            credentials.
    """
    path = sqlite_path(uri)
    if path is not None:
        problem = _sqlite_problem(path, busy)
    elif is_web_address(uri):
        problem = _answer_within(patience, lambda: _http_problem(uri, patience))
        problem = problem or _api_problem(uri)
    elif _dialect(uri) in _DATABASE_PORTS:
        problem = _answer_within(patience, lambda: _port_problem(uri, patience))
        problem = problem or _answer_within(LOGIN_SECONDS, lambda: _login_problem(uri))
    elif uri.startswith("file:") or ("://" not in uri and uri not in _REMOTE_NAMES):
        problem = "MLflow no longer tracks into a folder of files"
    elif _dialect(uri) not in _REMOTE_NAMES | {"sqlite"}:
        problem = "nothing that MLflow tracks into has an address that begins like this"
    else:
        problem = ""
    if problem:
        raise TrackingError(
            f"no usable MLflow {store} at {without_credentials(uri)} ({problem})",
            "a SQLite file (sqlite:///FILE), a database or an MLflow server that answers",
            f"Check {_VARIABLES[store]} (or conf/base/mlflow.yml) and that the server is running",
        )


def other_schema(error: BaseException, uri: str) -> TrackingError | None:
    """What to do when MLflow finds the tables of another version of itself.

    Args:
        error: what stopped the work.
        uri: the absolute tracking URI.

    Returns:
        What to say instead; nothing for any other error.
    """
    if not any("out-of-date database schema" in str(one) for one in causes(error)):
        return None
    shown, is_file = without_credentials(uri), sqlite_path(uri) is not None
    copy = "`kedro tracking backup DEST`" if is_file else "its own tool, such as pg_dump"
    return TrackingError(
        f"tables of another version of MLflow in the tracking store at {shown}",
        "those of the installed version, as after an update of MLflow",
        f"Back it up with {copy}, then run `mlflow db upgrade {shown}`"
        + ("" if is_file or shown == uri else ", with user and password in the address"),
    )


@contextmanager
def clear_schema_errors(uri: str) -> Iterator[None]:
    """Raise what `other_schema` says in place of MLflow's error.

    Args:
        uri: the absolute tracking URI.

    Raises:
        TrackingError: the store has the tables of another version of MLflow.
    """
    try:
        yield
    except Exception as error:
        instead = other_schema(error, uri)
        if instead is None:
            raise
        raise instead from error


def tune_sqlite() -> None:
    """Make commits to SQLite cheap (12 ms down to 1 ms), for every connection opened from now on.

    The write-ahead log with `synchronous=NORMAL` survives a crash of the program; it is not for
    network disks. Other databases are left alone.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    if not event.contains(Engine, "connect", _tune_connection):
        event.listen(Engine, "connect", _tune_connection)


@contextmanager
def impatient_sqlite() -> Iterator[None]:
    """Let MLflow not wait for other programs that write to a SQLite file: it would, 20 s a call."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "before_cursor_execute", _do_not_wait, retval=True)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", _do_not_wait)


def _do_not_wait(
    _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any
) -> tuple[str, Any]:
    waits = statement.startswith("PRAGMA busy_timeout")  # which MLflow says in every session
    return ("PRAGMA busy_timeout = 0" if waits else statement), parameters


def switch_telemetry_off() -> None:
    """Keep MLflow from reporting home, unless MLFLOW_DISABLE_TELEMETRY says otherwise."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.telemetry import set_telemetry_client

    set_telemetry_client()  # it was made when MLflow was imported, before it could be told


def refuse_pickles() -> None:
    """Keep MLflow from unpickling a model, unless MLFLOW_ALLOW_PICKLE_DESERIALIZATION says so.

    We never ask it to: this is for whatever else a registry may hold.
    """
    os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")


def keep_stdout_clean() -> None:
    """Keep MLflow from printing two lines, and asking the server, for every run that ends."""
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


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


def _sqlite_problem(path: Path, busy: float | None) -> str:
    if path.is_dir():
        return "it is a folder"
    if path.exists():
        writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)  # the log is there
        return _database_problem(path, busy) if writable else "it cannot be written to"
    parent = next(folder for folder in path.parents if folder.exists())
    if not parent.is_dir():
        return f"{parent} is not a folder"
    return "" if os.access(parent, os.W_OK) else f"{parent} cannot be written to"


def _database_problem(path: Path, busy: float | None) -> str:
    """Look into it; who will write begins to, and leaves it at that."""
    patience = PATIENCE_SECONDS if busy is None else busy
    with closing(sqlite3.connect(path, timeout=patience, isolation_level=None)) as database:
        try:
            database.execute("PRAGMA schema_version")
            if busy is not None:
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            if "locked" not in str(error):
                return str(error)
            return "" if busy is None else f"another program has locked it for {busy:g} seconds"
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


def _api_problem(uri: str) -> str:
    """Ask the server as MLflow will, with the credentials that MLflow will use."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    try:
        answer = http_request(
            get_default_host_creds(uri),
            "/api/2.0/mlflow/experiments/search",
            "POST",
            json={"max_results": 1},
            max_retries=1,
            timeout=LOGIN_SECONDS,
            raise_on_status=False,
        )
    except MlflowException:  # never its own words: they hold the address with all that is in it
        return "it does not answer to MLflow"
    if answer.status_code in {401, 403}:
        return f"it answers {answer.status_code}, so {_LOGIN_VARIABLES}, are missing or wrong"
    if answer.status_code != HTTPStatus.OK:
        return f"its API answers {answer.status_code} {answer.reason}"
    is_json = "json" in answer.headers.get("Content-Type", "")
    return "" if is_json else "it answers, but not as an MLflow server does"


def _port_problem(uri: str, patience: float) -> str:
    try:
        parts = urlsplit(uri)
        if parts.hostname is None:  # a socket of this machine, or named in the query
            return ""
        address = parts.hostname, parts.port or _DATABASE_PORTS[_dialect(uri)]
        socket.create_connection(address, timeout=patience).close()
    except ValueError:  # its own words hold what it took for a port
        return _UNREADABLE
    except OSError as error:
        return _reason(error)
    return ""


def _login_problem(uri: str) -> str:
    """Sign in to a database; MLflow would repeat a wrong password for minutes."""
    import sqlalchemy

    if "@" in urlsplit(uri).netloc.rpartition("@")[0]:  # or a part of it is taken for the host
        return _UNREADABLE
    try:
        sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool).connect().close()
    except ModuleNotFoundError as error:
        return f"its driver, the Python package {error.name}, is not installed"
    except sqlalchemy.exc.SQLAlchemyError as error:
        return " ".join(str(getattr(error, "orig", None) or error).split())
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
