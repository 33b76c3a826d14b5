"""DICOMweb against Debian's Orthanc with its DICOMweb plugin, both in one run.

    python benchmarks/dicomweb.py [--slices 500] [--seconds 4] [--rounds 3] [--only store]

Starts both products on free ports with throwaway folders, stores the same series of CT slices
(512 x 512, 16 bits, uncompressed) in both by STOW-RS, and then measures them in turns: absolute
figures move with the machine's other load, ratios less. We are asked with a session's cookie, as
the viewer asks; Orthanc without any authentication. Store requests are made before the clock runs,
and sent over connections that stay open, by the same few lines to both. Needs `Orthanc` and `wrk`.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import numpy as np
import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pydicom.uid import generate_uid

from tests.builders import ct_slice, part10
from tests.servers import free_port
from tests.stack import Stack

PLUGIN = "libOrthancDicomWeb.so"
PLUGIN_FOLDERS = (Path("/usr/share/orthanc/plugins"), Path("/usr/lib/orthanc"))
FRAME = "multipart/related; type=application/octet-stream; transfer-syntax=*"
DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
JSON = "application/dicom+json"
BOUNDARY = b"0f3cf5c0-70e0-41ef-baef-c6f9f65ec3e1"
"""As dicomweb-client has it: how long it is tells in how long a server looks for it."""
BATCHES = (1, 25)
"""Instances per Store request: senders differ, and a request has a cost of its own."""


@dataclass
class Series:
    """The slices as files, and where they are below a DICOMweb root."""

    files: list[bytes]
    path: str
    instances: list[str]

    @classmethod
    def made(cls, slices: int) -> Series:
        study, series = generate_uid(), generate_uid()
        rows, columns = np.mgrid[0:512, 0:512]
        body = ((rows - 256) ** 2 + (columns - 256) ** 2 < 200**2) * 1000
        noise = np.random.default_rng(7)
        files, instances = [], []
        for number in range(1, slices + 1):
            ds = ct_slice(study=study, series=series, number=number, size=16)
            ds.Rows = ds.Columns = 512
            pixels = body + noise.integers(-60, 60, body.shape) - 1000
            ds.PixelData = pixels.astype("<i2").tobytes()
            files.append(part10(ds))
            instances.append(ds.SOPInstanceUID)
        return cls(files, f"/studies/{study}/series/{series}", instances)

    def batches(self, begin: int, end: int, size: int) -> Iterator[bytes]:
        head = b"--%s\r\nContent-Type: application/dicom\r\n\r\n" % BOUNDARY
        for start in range(begin, end, size):
            batch = self.files[start : min(start + size, end)]
            yield b"".join(head + each + b"\r\n" for each in batch) + b"--%s--\r\n" % BOUNDARY


@dataclass
class Server:
    """One product under measurement."""

    name: str
    root: str
    restart: Callable[[], None]
    session: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str, accept: str, **headers: str) -> requests.Response:
        response = self.session.get(
            self.root + path, headers={"Accept": accept, **headers}, timeout=120
        )
        assert response.status_code == 200, (self.name, path, response.status_code, response.text)
        return response

    def store_request(self, body: bytes) -> bytes:
        """A whole Store request, as it goes over the wire."""
        host, _, path = self.root.removeprefix("http://").partition("/")
        fields = {
            "Host": host,
            "Content-Type": 'multipart/related; type="application/dicom"; boundary='
            + BOUNDARY.decode(),
            "Content-Length": str(len(body)),
            "Accept": JSON,
            "Cookie": "; ".join(f"{each.name}={each.value}" for each in self.session.cookies),
            "X-CSRFToken": self.session.cookies.get("pacsweb_csrf", ""),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
        return f"POST /{path}/studies HTTP/1.1\r\n{head}\r\n".encode() + body

    def store_all(self, bodies: Iterator[bytes], clients: int) -> float:
        """Seconds until all is stored and answered, over as many connections that stay open."""
        waiting = deque(map(self.store_request, bodies))
        address = urlsplit(self.root)
        with ExitStack() as open_connections, ThreadPoolExecutor(clients) as pool:
            senders = [
                open_connections.enter_context(Sender(str(address.hostname), address.port or 80))
                for _ in range(clients)
            ]
            return seconds(lambda: list(pool.map(lambda each: each.send_all(waiting), senders)))


class Sender:
    """A client that costs next to nothing, the same for both: one connection, requests made before.

    A library for HTTP in Python would take as long for a request as the servers do.
    """

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=300)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send_all(self, waiting: deque[bytes]) -> None:
        """One request after the other, each answer read whole, until none waits."""
        while True:
            try:
                request = waiting.popleft()
            except IndexError:
                return
            self._socket.sendall(request)
            head, body = self._answer()
            assert head.split(b" ", 2)[1] == b"200", (head, body[:500])

    def _answer(self) -> tuple[bytes, bytes]:
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._received()
        head, _, body = received.partition(b"\r\n\r\n")
        found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        assert found is not None, head
        while len(body) < int(found[1]):
            body += self._received()
        return head, body

    def _received(self) -> bytes:
        chunk = self._socket.recv(1 << 16)
        if not chunk:
            raise ConnectionError("The server closed the connection.")
        return chunk


class Orthanc:
    """Debian's Orthanc on SQLite in a folder of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="orthanc-benchmark-"))
        self.port, self.dicom_port = free_port(), free_port()
        plugin = next(each / PLUGIN for each in PLUGIN_FOLDERS if (each / PLUGIN).exists())
        configuration = {
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "index"),
            "HttpPort": self.port,
            "DicomPort": self.dicom_port,
            "AuthenticationEnabled": False,
            "Plugins": [str(plugin)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        self.file = self.folder / "orthanc.json"
        self.file.write_text(json.dumps(configuration))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}/dicom-web"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["Orthanc", str(self.file)], stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                requests.get(f"{self.root}/studies", timeout=5)
            except requests.ConnectionError:
                time.sleep(0.2)
            else:
                return
        raise SystemExit("Orthanc did not start:\n" + (self.folder / "log").read_text()[-2000:])

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)

    def restart(self) -> None:
        self.stop()
        self.start()


def signed_in(stack: Stack) -> requests.Session:
    session = requests.Session()
    login = stack.url("/login/")
    session.get(login, timeout=30)
    form = {
        "username": stack.username,
        "password": stack.password,
        "csrfmiddlewaretoken": session.cookies["pacsweb_csrf"],
    }
    session.post(login, data=form, headers={"Referer": login}, timeout=30)
    assert "pacsweb_session" in session.cookies
    return session


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


class Measurement:
    """Figures by name and server; `rate` figures are better when larger."""

    def __init__(self) -> None:
        self.figures: dict[tuple[str, str], dict[str, list[float]]] = {}

    def add(self, name: str, unit: str, server: Server, value: float) -> None:
        self.figures.setdefault((name, unit), {}).setdefault(server.name, []).append(value)

    def report(self) -> None:
        print(f"\n{'':44}{'pacsweb':>12}{'Orthanc':>12}{'times better':>14}")
        for (name, unit), values in self.figures.items():
            ours, theirs = (statistics.median(values[each]) for each in ("pacsweb", "Orthanc"))
            ratio = ours / theirs if unit.endswith("/s") else theirs / ours
            print(f"{name + ', ' + unit:44}{ours:12.1f}{theirs:12.1f}{ratio:14.1f}")


def wrk(
    server: Server, paths: list[str], accept: str, clients: int, length: int
) -> tuple[float, float, float]:
    """Requests per second, and p50 and p95 in ms, over all paths in turn."""
    cookie = "; ".join(f"{each.name}={each.value}" for each in server.session.cookies)
    base = server.root.split("/", 3)[3]
    script = f"local paths = {{{','.join(json.dumps(f'/{base}{path}') for path in paths)}}}\n"
    script += f"""
local at = 0
request = function()
  at = at % #paths + 1
  return wrk.format("GET", paths[at], {{["Accept"] = "{accept}", ["Cookie"] = "{cookie}"}})
end
done = function(summary, latency)
  io.write(string.format("p50 %f p95 %f errors %d\\n", latency:percentile(50) / 1000,
    latency:percentile(95) / 1000, summary.errors.status + summary.errors.connect
    + summary.errors.read + summary.errors.timeout))
end
"""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        out = subprocess.run(
            ["wrk", "-t1", f"-c{clients}", f"-d{length}", "--timeout", "60",
             "-s", file.name, server.root],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    found = re.search(r"p50 ([\d.]+) p95 ([\d.]+) errors (\d+)", out)
    assert rate is not None, out
    assert found is not None, out
    if found[3] != "0":
        print(f"{server.name}: {found[3]} errors with {clients} clients")
    return float(rate[1]), float(found[1]), float(found[2])


def megabytes_per_second(server: Server, series: Series) -> float:
    """The series as one multipart body, read by curl: a client in Python would be measured."""
    cookie = "; ".join(f"{each.name}={each.value}" for each in server.session.cookies)
    out = subprocess.run(
        ["curl", "-sf", "-o", "/dev/null", "-w", "%{speed_download}", "-H", f"Accept: {DICOM}",
         "-H", f"Cookie: {cookie}", server.root + series.path],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return float(out) / 1e6


def first_picture(server: Server, series: Series) -> None:
    """What a viewer needs before its first picture: series list, metadata, one frame."""
    study = series.path.split("/series/")[0]
    server.get(f"{study}/series", JSON)
    server.get(f"{series.path}/metadata", JSON, **{"Accept-Encoding": "gzip"})
    server.get(f"{series.path}/instances/{series.instances[0]}/frames/1", FRAME)


def measure_storing(found: Measurement, servers: list[Server], series: Series) -> None:
    """Every way of sending in turns, each a share of the series to both products."""
    ways = [(size, clients) for size in BATCHES for clients in (1, 4)]
    share = len(series.files) // len(ways)
    for number, (size, clients) in enumerate(ways):
        begin = number * share
        end = begin + share if number + 1 < len(ways) else len(series.files)
        for server in servers:
            took = server.store_all(series.batches(begin, end, size), clients)
            name = f"STOW-RS by {size}, {clients} clients"
            found.add(name, "instances/s", server, (end - begin) / took)


def measure_reading(
    found: Measurement, servers: list[Server], series: Series, rounds: int, length: int
) -> None:
    """The stored series: metadata by a server that just started, then everything in rounds."""
    metadata = f"{series.path}/metadata"
    for server in servers:
        server.restart()
    for server in servers:
        took = seconds(lambda server=server: server.get(metadata, JSON))
        found.add(f"metadata of {len(series.files)} slices, cold", "ms", server, took * 1000)
    for turn in range(rounds):
        for server in servers if turn % 2 else reversed(servers):
            one_round(found, server, series, length)


def one_round(found: Measurement, server: Server, series: Series, length: int) -> None:
    metadata = f"{series.path}/metadata"
    slices = len(series.files)
    for _ in range(5):
        for name, coding in (("gzip", "gzip"), ("plain", "identity")):
            took = seconds(lambda c=coding: server.get(metadata, JSON, **{"Accept-Encoding": c}))
            found.add(f"metadata of {slices} slices, warm, {name}", "ms", server, took * 1000)
        took = seconds(lambda: first_picture(server, series))
        found.add("series list + metadata + first frame", "ms", server, took * 1000)
    frames = [f"{series.path}/instances/{uid}/frames/1" for uid in series.instances]
    for clients in (1, 8):
        rate, median, _ = wrk(server, frames, FRAME, clients, length)
        found.add(f"frames, {clients} clients", "frames/s", server, rate)
        found.add(f"frames, {clients} clients, p50", "ms", server, median)
    for number, uid in enumerate(series.instances[:20]):
        path = f"{series.path}/instances/{uid}/frames/1/rendered?viewport=512,512"
        took = seconds(lambda p=path: server.get(p, "image/jpeg"))
        if number:
            found.add("rendered frame at 512", "ms", server, took * 1000)
    found.add("whole series, multipart", "MB/s", server, megabytes_per_second(server, series))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--slices", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("store",), help="store `--rounds` series, read none")
    options = parser.parse_args()
    for program in ("Orthanc", "wrk"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed here.")
    stack, orthanc = Stack(), Orthanc()
    try:
        orthanc.start()
        stack.start()
        servers = [
            Server("pacsweb", stack.url("/dicom-web"), stack.restart, signed_in(stack)),
            Server("Orthanc", orthanc.root, orthanc.restart),
        ]
        found = Measurement()
        for _ in range(options.rounds if options.only else 1):
            series = Series.made(options.slices)
            measure_storing(found, servers, series)
        if not options.only:
            measure_reading(found, servers, series, options.rounds, options.seconds)
        found.report()
    finally:
        orthanc.stop()
        stack.stop()
        shutil.rmtree(orthanc.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
