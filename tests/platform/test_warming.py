"""A web process has done beforehand what its first requests would else wait for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from pacsweb.settings.environment import PROJECT_ROOT
from tests.builders import ct_slice, part10
from tests.servers import free_port
from tests.stack import Stack

_ASKING = """
import io, json, os, sys

def asked(path, body=b"", **more):
    said = []
    answer = application({
        "REQUEST_METHOD": "POST" if body else "GET", "SCRIPT_NAME": "", "PATH_INFO": path,
        "QUERY_STRING": "", "REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost",
        "CONTENT_LENGTH": str(len(body)), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body), **more,
    }, lambda *each: said.append(each))
    return int(said[0][0].split()[0]), b"".join(answer)
"""
_FIRST = """
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "pacsweb.settings"
django.setup()
from django.apps import apps

def rows():
    named = ("events.Event", "sessions.Session", "axes.AccessAttempt", "axes.AccessFailureLog",
             "archive.Study", "ingest.QuarantinedInstance")
    return {each: apps.get_model(each).objects.count() for each in named}

before = rows()
from pacsweb.wsgi import application
warm = {"rows": rows() == before}
given = json.loads(sys.stdin.readline())
signed = {"HTTP_AUTHORIZATION": given["authorization"]}
known = set(sys.modules)
for name, path, body, kind in given["requests"]:
    status, _ = asked(path, bytes.fromhex(body), CONTENT_TYPE=kind, **signed)
    warm[name] = status
warm["imported"] = sorted(set(sys.modules) - known)
print(json.dumps(warm))
"""
_ALONE = """
from pacsweb.wsgi import application
print(json.dumps([asked("/livez")[0], asked("/readyz")[0], json.loads(asked("/readyz")[1])]))
"""


def _said(code: str, environment: Mapping[str, str], given: Any = None) -> Any:
    """What a fresh process prints last."""
    done = subprocess.run(
        [sys.executable, "-c", _ASKING + code],
        input=json.dumps(given) + "\n",
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        env=dict(environment),
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_fresh_process_imports_nothing_for_its_first_requests(stack: Stack) -> None:
    ds = ct_slice()
    series = f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
    instance = f"{series}/instances/{ds.SOPInstanceUID}"
    body = b"--edge\r\nContent-Type: application/dicom\r\n\r\n" + part10(ds) + b"\r\n--edge--\r\n"
    kind = 'multipart/related; type="application/dicom"; boundary=edge'
    said = _said(
        _FIRST,
        stack.environment(),
        {
            "authorization": "Basic " + b64encode(":".join(stack.auth).encode()).decode(),
            "requests": [
                ("store", "/dicom-web/studies", body.hex(), kind),
                ("metadata", f"{series}/metadata", "", ""),
                ("frame", f"{instance}/frames/1", "", ""),
                ("search", f"/dicom-web/studies/{ds.StudyInstanceUID}/series", "", ""),
            ],
        },
    )
    assert said.pop("rows"), "nothing was recorded before the first request"
    others = [
        each for each in said.pop("imported") if each.split(".")[0] not in sys.stdlib_module_names
    ]
    assert not others
    assert said == {"store": 200, "metadata": 200, "frame": 200, "search": 200}


@pytest.mark.parametrize("lacks", ["the database", "its tables"])
def test_a_process_starts_whatever_is_away(tmp_path: Path, lacks: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PACSWEB_DATA_DIR": str(tmp_path),
        "PACSWEB_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "PACSWEB_DICOM_PORT": str(free_port()),
    }
    if lacks == "the database":
        environment["PACSWEB_DATABASE_URL"] = f"postgresql://x:x@127.0.0.1:{free_port()}/x"
    alive, ready, state = _said(_ALONE, environment)
    assert (alive, ready, state["ready"]) == (200, 503, False)
    assert state["parts"]["redis"] == "no answer"
    assert state["parts"]["database"] == ("ok" if lacks == "its tables" else "no answer")


def test_the_threads_of_a_process_share_their_connections_to_redis() -> None:
    def connections() -> object:
        return cache._cache._get_connection_pool(write=True)

    with ThreadPoolExecutor(1) as other:
        assert other.submit(connections).result() is connections()
