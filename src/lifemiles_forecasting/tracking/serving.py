"""MLflow's own scoring server, for one version of the registered model."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.hosts import LOOPBACK
from lifemiles_forecasting.tracking.names import REGISTERED_MODEL

if TYPE_CHECKING:
    from lifemiles_forecasting.core.results import LoadedVersion


def check_port(port: int, host: str = LOOPBACK) -> None:
    """Make sure that a port is free, before a model is loaded for it.

    Args:
        port: to listen on.
        host: to listen on.

    Raises:
        ConfigError: it is not, or not ours to take, or there is no such host.
    """
    try:
        _listen(host, port)
    except (socket.gaierror, UnicodeError) as error:
        why = (getattr(error, "strerror", "") or "not the name of a host").lower()
        raise ConfigError(
            f"no way to listen on port {port} of {host} ({why})",
            "an address of this machine",
            "Choose another with --host",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"no way to listen on port {port} of {host} ({error.strerror.lower()})",
            "a free port",
            "Choose another with --port, or PORT= of make",
        ) from None


def _listen(host: str, port: int) -> None:
    """Listen where the server will: on every address of the host that this machine has."""
    absent, listened = OSError(), False
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, _, _, address in found:
        try:
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server will
                probe.bind(address)
                listened = True
        except OSError as error:
            # `localhost` is an address of IPv6 too where there is no IPv6
            if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                raise
            absent = error
    if not listened:
        raise absent


def load_version(
    uri: str, registry_uri: str | None, version: int | None, alias: str
) -> LoadedVersion:
    """Load what is to be served: what is wrong with it is told before a server starts.

    MLflow looks at these stores from now on, in this process and in what it becomes.

    Args:
        uri: of the tracking store.
        registry_uri: of the model registry, where it is another one.
        version: its number; None goes by the alias.
        alias: such as `champion`.

    Raises:
        TrackingError: there is none, or its files are not those that were logged.
        InputError: its format is that of another version of this package.
    """
    from lifemiles_forecasting.tracking.registered_fleet import RegisteredFleets
    from lifemiles_forecasting.tracking.registry import open_registry
    from lifemiles_forecasting.tracking.store import clear_schema_errors, probe, refuse_pickles

    refuse_pickles()
    probe(uri)
    with clear_schema_errors(uri):
        client = open_registry(uri, registry_uri).client
    import mlflow

    # these also set the environment variables, which what comes next inherits
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(registry_uri or uri)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    return RegisteredFleets(client).read(version, alias)


def become_server(version: str, port: int, host: str = LOOPBACK) -> NoReturn:
    """Become `mlflow models serve`; Ctrl-C or SIGTERM ends it.

    Args:
        version: number of the version, from `load_version`.
        port: to listen on.
        host: to listen on.
    """
    model = ["--model-uri", f"models:/{REGISTERED_MODEL}/{version}", "--env-manager", "local"]
    address = ["--host", host, "--port", str(port)]
    command = [sys.executable, "-m", "mlflow", "models", "serve", *model, *address]
    # MLflow looks for uvicorn in PATH, where it is not when the environment is not activated
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    variables = {**os.environ, "PATH": path, **_place_of_copies(host, port)}
    os.execve(command[0], command, variables)  # noqa: S606 - no shell


def _place_of_copies(host: str, port: int) -> dict[str, str]:
    """The variable by which a server has a temporary folder of its own, empty now.

    What comes from a tracking server MLflow copies there and never removes: with a server that is
    started anew each night a disk would fill up. Nobody else listens there, so nobody uses what
    the server before it has left. A folder of that name that is not ours stays as it is.
    """
    name = f"kedro-serve-{os.getuid()}-{re.sub(r'[^0-9A-Za-z.]', '_', host)}-{port}"
    folder = Path(tempfile.gettempdir()) / name
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return {}
    return {"TMPDIR": str(folder)}
