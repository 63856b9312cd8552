"""Servers and where they are: ours listen on this machine, unless somebody says otherwise."""

from __future__ import annotations

import ipaddress

LOOPBACK = "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there.

    Example:
        >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "")]
        [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: only the one that every machine gives itself is known to be safe
        return host == "localhost"


def is_web_address(uri: str) -> bool:
    """Whether a server that speaks HTTP is meant.

    Example:
        >>> [is_web_address(uri) for uri in ("https://mlflow.example", "sqlite:///mlflow.db")]
        [True, False]
    """
    return uri.startswith(("http://", "https://"))


def in_address(host: str) -> str:
    """A host as it stands in an address.

    Example:
        >>> f"http://{in_address('::1')}:5000", f"http://{in_address('localhost')}:5000"
        ('http://[::1]:5000', 'http://localhost:5000')
    """
    return f"[{host}]" if ":" in host else host


def exposure(host: str) -> str:
    """What a user should know who lets other machines in; nothing where they are not.

    Args:
        host: that a server is going to listen on.
    """
    if is_loopback(host):
        return ""
    return (
        f"On {host} other machines get in as well, and there is no password: whoever "
        "reaches the port may ask whatever it answers; the MLflow UI also deletes runs. Put a "
        f"proxy with a login in front, or stay at {LOOPBACK} and use an SSH tunnel."
    )
