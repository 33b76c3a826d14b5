"""`python -m pacsweb.probe web|dimse|PROCESS`: one health check, for containers.

Exit code 0 when that part serves. `web` asks its own process, `dimse` the port, any other name
its sign of life in Redis.
"""

from __future__ import annotations

import http.client
import socket
import sys

from pacsweb.settings.environment import ENVIRONMENT

_SECONDS = 5.0


def _web() -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", ENVIRONMENT.http_port, timeout=_SECONDS)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.client.OK
    finally:
        connection.close()


def _dimse() -> bool:
    socket.create_connection(("127.0.0.1", ENVIRONMENT.dicom_port), _SECONDS).close()
    return True


_CHECKS = {"web": _web, "dimse": _dimse}


def _process(name: str) -> bool:
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacsweb.settings")
    django.setup()
    from redis.exceptions import RedisError

    from pacsweb.heartbeat import alive

    try:
        return alive((name,))[name]
    except RedisError as problem:
        raise OSError(str(problem)) from problem


def main(name: str) -> int:
    """0 when it serves, 1 when not."""
    try:
        serves = _CHECKS[name]() if name in _CHECKS else _process(name)
    except (OSError, http.client.HTTPException) as problem:
        sys.stderr.write(f"{name}: {problem}\n")
        return 1
    return 0 if serves else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
