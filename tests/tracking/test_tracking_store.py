import http.server
import os
import shutil
import socket
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy
from mlflow.tracking import MlflowClient

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.store import (
    absolute_uri,
    artifact_location,
    credentials_to_environment,
    has_content,
    other_schema,
    probe,
    sqlite_path,
    sqlite_uri,
    switch_telemetry_off,
    tune_sqlite,
    without_credentials,
)

PROJECT = Path("/project")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (None, "sqlite:////project/mlflow.db"),
        ("", "sqlite:////project/mlflow.db"),
        ("sqlite:///runs/all.db?timeout=9", "sqlite:////project/runs/all.db?timeout=9"),
        ("sqlite:////elsewhere/mlflow.db", "sqlite:////elsewhere/mlflow.db"),
        ("sqlite:////else%20where/a%2520b.db", "sqlite:////else where/a%2520b.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("https://mlflow.example", "https://mlflow.example"),
        ("databricks", "databricks"),
    ],
)
def test_absolute_uri(uri, expected):
    assert absolute_uri(uri, PROJECT) == expected


@pytest.mark.parametrize("name", ["My%20Project", "what?now", "100%", "a#b", "a b", "ñ+&=", "%zz"])
def test_uri_of_a_file_leads_to_it_whatever_its_name(tmp_path, empty_store, name):
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    for uri in (sqlite_uri(folder / "mlflow.db"), absolute_uri(None, folder)):
        assert sqlite_path(uri) == folder / "mlflow.db"
        assert Path(sqlalchemy.make_url(uri).database) == folder / "mlflow.db"
        assert MlflowClient(tracking_uri=uri).search_experiments()
    assert not any(file.is_file() for file in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:////elsewhere/mlflow.db", "file:///elsewhere/mlruns"),
        ("postgresql+psycopg2://host/db", "file:///project/mlruns"),
        ("http://host:5000", None),
        ("databricks", None),
    ],
)
def test_artifact_location(uri, expected):
    assert artifact_location(uri, PROJECT) == expected


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:p@ss/word@host:5000/x?token=secret", "https://host:5000/x"),
        ("https://me:p?ss@host:5000/x", "https://..."),
        ("postgresql://host/db?password=p@ss", "postgresql://..."),
        ("http://host:5000", "http://host:5000"),
        ("https:/me:secret@host", "host"),
        ("/home/me@work/mlruns", "/home/me@work/mlruns"),
        ("sqlite:////home/me@work/mlflow.db?timeout=9", "sqlite:////home/me@work/mlflow.db"),
    ],
)
def test_without_credentials_shows_none(uri, shown):
    assert without_credentials(uri) == shown


def test_has_content(tmp_path):
    file = tmp_path / "mlflow.db"
    assert not has_content(f"sqlite:///{file}")
    file.touch()
    assert not has_content(f"sqlite:///{file}")
    file.write_bytes(b"something")
    assert has_content(f"sqlite:///{file}")
    assert has_content("http://host")


def test_probe_accepts_a_sqlite_file_that_is_there_or_can_be_made(tmp_path):
    file = tmp_path / "new" / "mlflow.db"
    probe(f"sqlite:///{file}")
    assert not file.parent.exists()  # only asked
    file.parent.mkdir()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE runs (id)")
    connection.close()
    probe(f"sqlite:///{file}")


def test_probe_names_what_is_wrong_with_a_sqlite_file(tmp_path):
    text = tmp_path / "mlflow.db"
    text.write_text("this is no database, and it is longer than a header" * 10)
    with pytest.raises(TrackingError, match="file is not a database"):
        probe(f"sqlite:///{text}")
    with pytest.raises(TrackingError, match="it is a folder"):
        probe(f"sqlite:///{tmp_path}")
    with pytest.raises(TrackingError, match="is not a folder"):
        probe(f"sqlite:///{text}/mlflow.db")


def test_probe_does_not_wait_for_ever_for_who_writes_to_a_sqlite_file(tmp_path):
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE runs (id)")
        other.execute("BEGIN IMMEDIATE")
        message = r"mlflow.db \(another program has locked it for 0.1 seconds\)"
        with pytest.raises(TrackingError, match=message):
            probe(f"sqlite:///{file}", busy=0.1)
        other.execute("ROLLBACK")
        probe(f"sqlite:///{file}")


@pytest.mark.parametrize("uri", ["mlruns", "file:///project/mlruns"])
def test_probe_refuses_a_folder_of_files(uri):
    with pytest.raises(TrackingError, match="no longer tracks into a folder of files"):
        probe(uri)


@pytest.mark.parametrize("uri", ["htps://me:S3CRET@host", "postgre://me:S3CRET@host/db", "s3://x"])
def test_probe_refuses_an_address_of_nothing_that_mlflow_tracks_into(uri):
    problem = r"\(nothing that MLflow tracks into has an address that begins like this\)"
    with pytest.raises(TrackingError, match=problem) as caught:
        probe(uri)
    assert f"no usable MLflow tracking store at {without_credentials(uri)} (" in str(caught.value)
    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg2", "mysql"])
def test_probe_refuses_a_port_where_nobody_listens(scheme, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(TrackingError) as caught:
            probe(f"{scheme}://me:secret@{address}/runs")
    assert str(caught.value) == (
        f"found no usable MLflow tracking store at {scheme}://{address}/runs "
        "(connection refused); expected a SQLite file (sqlite:///FILE), a database or an MLflow "
        "server that answers. Check MLFLOW_TRACKING_URI (or conf/base/mlflow.yml) and that the "
        "server is running"
    )


def test_probe_does_not_wait_for_a_server_that_never_answers(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(TrackingError, match=r"timed out|no answer"):
            probe(f"http://127.0.0.1:{silent.getsockname()[1]}", patience=0.2)
    assert time.monotonic() - started < 3


@pytest.fixture
def stand_in():
    """A server that gives `/health` and MLflow's API these statuses; whom it knows it lets in."""
    servers = []

    def start(health=200, api=200, authorization=None, content_type="application/json"):
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(health)

            def do_POST(self):
                known = authorization in {None, self.headers.get("Authorization")}
                self.answer(api if known else 401)

            def answer(self, status):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("health", [200, 401, 404])
def test_probe_accepts_a_server_whose_api_answers(health, stand_in):
    probe(f"http://{stand_in(health)}/")


@pytest.mark.parametrize(
    ("health", "api", "problem"),
    [
        (503, 200, "its gateway answers 503 Service Unavailable"),
        (
            200,
            401,
            "it answers 401, so MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_",
        ),
        (200, 403, "it answers 403, so MLFLOW_TRACKING_USERNAME"),
        (200, 404, "its API answers 404 Not Found"),
    ],
)
def test_probe_refuses_a_server_that_refuses_us(health, api, problem, stand_in):
    address = stand_in(health, api)
    with pytest.raises(TrackingError) as caught:
        probe(f"http://me:secret@{address}")
    assert str(caught.value).startswith(
        f"found no usable MLflow tracking store at http://{address} ({problem}"
    )


def test_probe_refuses_a_web_page(stand_in):
    address = stand_in(content_type="text/html")
    with pytest.raises(TrackingError, match="it answers, but not as an MLflow server does"):
        probe(f"http://{address}")


def test_probe_of_a_model_registry_names_its_own_variable(stand_in):
    with pytest.raises(TrackingError, match=r"MLflow model registry at .* Check MLFLOW_REGISTRY_"):
        probe(f"http://{stand_in(503)}", store="model registry")


def test_credentials_in_the_address_of_a_server_reach_it_by_the_environment(stand_in, monkeypatch):
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "")  # and put back afterwards
    address = stand_in(authorization="Basic bWU6YTpiQC8=")  # me, a:b@/
    assert credentials_to_environment(f"http://me:a%3Ab%40%2F@{address}/x") == f"http://{address}/x"
    assert os.environ["MLFLOW_TRACKING_USERNAME"] == "me"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "a:b@/"
    probe(f"http://{address}")


def test_a_token_of_the_environment_reaches_the_server(stand_in, monkeypatch):
    for name in ("USERNAME", "PASSWORD"):  # which would go before the token
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    address = stand_in(authorization="Bearer abc")
    with pytest.raises(TrackingError, match="it answers 401"):
        probe(f"http://{address}")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abc")
    probe(f"http://{address}")


@pytest.mark.parametrize(
    "uri",
    ["http://host:5000", "http://me@host", "postgresql://me:secret@host/db", "sqlite:///a@b:c.db"],
)
def test_other_addresses_stay_as_they_are(uri, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD", raising=False)
    assert credentials_to_environment(uri) == uri
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ


def test_probe_signs_in_to_a_database(postgres):
    uri = postgres.create_database("probed")
    probe(uri)
    for wrong, reason in (
        (postgres.uri("probed", password="wrong:secret"), "password authentication failed"),
        (postgres.uri("nowhere"), 'database "nowhere" does not exist'),
        (uri.replace("%40", "@"), "must be percent-encoded"),
        (uri.replace("%3A", "/"), "must be percent-encoded"),
        (uri.replace("postgresql", "mysql+nodriver"), "Can't load plugin"),
    ):
        started = time.monotonic()
        with pytest.raises(TrackingError, match=reason) as caught:
            probe(wrong)
        assert time.monotonic() - started < 5
        assert "secret" not in str(caught.value).lower()


def test_probe_leaves_what_it_cannot_ask_to_mlflow():
    probe("databricks")
    probe("databricks://profile")
    probe("sqlite:///:memory:")


def test_tune_sqlite_is_done_once_and_for_every_connection(tmp_path):
    tune_sqlite()
    tune_sqlite()
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1  # NORMAL
    engine.dispose()


def test_tune_sqlite_keeps_full_synchronisation_without_the_log():
    tune_sqlite()
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:  # memory has no write-ahead log
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "memory"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    engine.dispose()


def test_switch_telemetry_off_unless_told_otherwise(monkeypatch):
    from mlflow.telemetry import get_telemetry_client

    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    switch_telemetry_off()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert get_telemetry_client() is None


def test_upgrade_of_a_database_is_told_without_its_password():
    error = RuntimeError("Detected out-of-date database schema (found version 0a, but expected 1b)")
    said = str(other_schema(error, "postgresql://me:secret@host/db"))
    assert "secret" not in said
    assert said.endswith(
        "Back it up with its own tool, such as pg_dump, then run `mlflow db upgrade "
        "postgresql://host/db`, with user and password in the address"
    )
    assert other_schema(RuntimeError("anything else"), "postgresql://host/db") is None
