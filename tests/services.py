"""A PostgreSQL cluster and an MLflow server of the tests' own, on free loopback ports."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

SECONDS = 60.0  # until a service must have answered
USER = "forecaster"
PASSWORD = "Kept:Secret@9"  # with signs that an address must escape


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def await_answer(process: subprocess.Popen[bytes], answers: Callable[[], bool], log: Path) -> None:
    """Ask until the service answers; what it has logged is shown when it does not."""
    deadline = time.monotonic() + SECONDS
    while not answers():
        try:
            process.wait(timeout=0.05)  # the pause between two questions, unless it has ended
        except subprocess.TimeoutExpired:
            if time.monotonic() < deadline:
                continue
        raise AssertionError(f"{process.args[0]} does not answer:\n{log.read_text()}")


# --- PostgreSQL


def postgres_binaries() -> Path | None:
    """The folder of `initdb` and `postgres`; Debian keeps them off the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: p.parts[-3])
    found = str(debian[-1]) if debian else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def unprivileged() -> dict[str, object]:
    """How a process is started that refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@dataclass(frozen=True)
class Postgres:
    """A running cluster, of which every connection needs the password."""

    port: int

    def uri(self, database: str, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{quote(password)}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.uri(name)

    def connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(self.uri(database), autocommit=True, connect_timeout=5)

    def answers(self) -> bool:
        try:
            self.connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def everything_in(self, database: str) -> str:
        """All rows of all tables as text."""
        with self.connect(database) as connection:
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
            query = sql.SQL("SELECT * FROM {}")
            rows = [
                connection.execute(query.format(sql.Identifier(name))).fetchall()
                for (name,) in tables
            ]
        return repr(rows)


@contextmanager
def postgres_cluster(binaries: Path) -> Iterator[Postgres]:
    """Start a cluster in a temporary folder that its user can reach, and remove it at the end."""
    as_user = unprivileged()
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        secret, log = folder / "password", folder / "log"
        secret.write_text(PASSWORD)
        if as_user:
            for path in (folder, secret):
                os.chown(path, as_user["user"], as_user["group"])
        make = [binaries / "initdb", "--auth=scram-sha-256", f"--username={USER}", "--no-sync"]
        make += [f"--pwfile={secret}", "--encoding=UTF8", "--no-locale", folder / "data"]
        subprocess.run(
            make, check=True, capture_output=True, timeout=SECONDS, cwd=folder, **as_user
        )
        cluster = Postgres(free_port())
        serve = [binaries / "postgres", "-D", folder / "data", "-p", str(cluster.port)]
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off")
        serve += [part for setting in settings for part in ("-c", setting)]
        with (
            log.open("wb") as output,
            subprocess.Popen(serve, stdout=output, stderr=output, cwd=folder, **as_user) as process,
        ):
            try:
                await_answer(process, cluster.answers, log)
                yield cluster
            finally:
                process.send_signal(signal.SIGINT)  # ends open connections, then itself
                process.wait(timeout=SECONDS)


# --- MLflow


@dataclass(frozen=True)
class MlflowServer:
    """A running tracking server that takes artifacts in and hands them out."""

    uri: str
    database: str
    artifacts: Path

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError):
            return False


@contextmanager
def mlflow_server(backend_uri: str, folder: Path) -> Iterator[MlflowServer]:
    """Start `mlflow server` on a database; it is gone when the context is left."""
    port = free_port()
    server = MlflowServer(
        f"http://127.0.0.1:{port}", backend_uri.rpartition("/")[2], folder / "artifacts"
    )
    command = [sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={port}"]
    command += ["--workers=1", f"--artifacts-destination={server.artifacts}"]
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_BACKEND_STORE_URI": backend_uri,  # not in the list of processes
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    log = folder / "server.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdout=output, stderr=output, cwd=folder, env=variables, start_new_session=True
        ) as process,
    ):
        try:
            await_answer(process, server.answers, log)
            yield server
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=SECONDS)
