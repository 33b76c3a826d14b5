"""A small DICOMweb archive that behaves as told, study by study, and knows how it was asked."""

from __future__ import annotations

import base64
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from pydicom import dcmread
from pydicom.dataset import Dataset

from apps.dicom.multipart import MultipartReader
from tests.builders import ct_slice, new_uid, part10

USER, SECRET = "reader", "s3cret-that-no-log-holds"
_START, _DEPTH_OF_ONE = 300, 6
# Manners of refusing: the status, and what is refused where it stands in Accept.
_REFUSALS = {
    "no wild card": (406, "*"),
    "old": (400, "*"),
    "one at a time": (406, "multipart"),
    "without end": (406, "multipart"),
    "in no form": (406, "application/dicom"),
}
# Manners in which no instances are listed.
_UNLISTED = ("lists nothing", "a part of it", "twice")
END = b"--edge--\r\n"
HEAD = b"--edge\r\nContent-Type: application/dicom\r\n\r\n"


def body_of(instances: Iterable[bytes]) -> bytes:
    """Parts, and the last delimiter."""
    return b"".join(HEAD + each + b"\r\n" for each in instances) + END


class OddWebArchive(BaseHTTPRequestHandler):
    """`manner` says how a study is served; a study that is not in it is served well."""

    studies: ClassVar[dict[str, list[Dataset]]] = {}
    manner: ClassVar[dict[str, str]] = {}
    asked: ClassVar[defaultdict[str, list[str]]] = defaultdict(list)
    stored: ClassVar[list[Dataset]] = []
    go: ClassVar[threading.Event] = threading.Event()

    @classmethod
    def new_study(cls, manner: str = "", *, images: int = 5, **attributes: Any) -> str:
        """Its UID. It has two series, the second of one image."""
        study, series, other = new_uid(), new_uid(), new_uid()
        cls.studies[study] = [
            ct_slice(study=study, series=series if number < images else other, number=number,
                     **attributes)
            for number in range(1, images + 1)
        ]  # fmt: skip
        cls.manner[study] = manner
        return study

    def do_GET(self) -> None:
        path, _, query = self.path.removeprefix("/base").partition("?")
        said = base64.b64decode(self.headers.get("Authorization", " ").split(" ")[1]).decode()
        if said != f"{USER}:{SECRET}":
            return self._say(401)
        named = path.strip("/").split("/")
        if path == "/studies":
            return self._found(parse_qs(query))
        study = named[1]
        self.asked[study].append(path)
        have = self.studies.get(study, [])
        manner = self.manner.get(study, "")
        if path.endswith("/instances"):
            of_series = [each for each in have if _below(each, named[:4])]
            return self._list(of_series, manner)
        wanted = [each for each in have if _below(each, named)]
        if not wanted:
            return self._say(404)
        status, word = _REFUSALS.get(manner, (0, "nothing"))
        if word in self.headers["Accept"]:
            self.asked[study][-1] += " refused"
            return self._say(status)
        return self._send(wanted, manner, len(named))

    def do_POST(self) -> None:
        """Store: the manner is that of the instances' Patient ID."""
        boundary = self.headers["Content-Type"].split("boundary=")[1]
        parts = MultipartReader(_Chunks(self.rfile), boundary)
        kept = [dcmread(BytesIO(b"".join(part.chunks))) for part in parts]
        patient = str(kept[0].PatientID)
        manner = self.manner.get(patient, "")
        if manner == "hangs up" or (manner == "hates two" and kept[-1].InstanceNumber >= 2):
            self.manner[patient] = "" if manner == "hangs up" else manner
            self.close_connection = True
            return
        if manner == "takes the first":
            self.go.wait(0 if kept[0].InstanceNumber == 1 else 60)
        if manner == "likes them short" and (len(kept) > 1 or kept[0].InstanceNumber == 2):
            self._say(413)
            return
        statuses = {
            "none of it": 400,
            "busy": 503,
            "forbidden": 401,
            "markup": 200,
            "status of no name": 299,
        }
        if manner in statuses:
            self._say(statuses[manner], {"Retry-After": "600"}, b"<h1>Hello</h1>")
            return
        refused = kept[-1:] if manner == "refuses one" and kept[-1].InstanceNumber == 3 else []
        stored = [each for each in kept if each not in refused]
        self.stored.extend(stored)
        reason = {"00081197": {"vr": "US", "Value": [0xA900]}}
        report = {
            "00081199": {"vr": "SQ", "Value": [_named(each) for each in stored]},
            "00081198": {"vr": "SQ", "Value": [_named(each) | reason for each in refused]},
        }
        kind = {"Content-Type": "application/dicom+json"}
        self._say(202 if refused else 200, kind, json.dumps(report).encode())

    def _found(self, asked: dict[str, list[str]]) -> None:
        name = asked.get("PatientName", [""])[0].rstrip("*").lower()
        uid = asked.get("StudyInstanceUID", [""])[0]
        patient = asked.get("PatientID", [""])[0]
        rows = [
            {
                "0020000D": {"vr": "UI", "Value": [study]},
                "00100010": {"vr": "PN", "Value": [{"Alphabetic": str(have[0].PatientName)}]},
                "00080061": {"vr": "CS", "Value": ["CT", "SR"]},
                "00201208": {"vr": "IS", "Value": [len(have)]},
                "00100020": {"vr": "LO", "Value": [have[0].PatientID]},
                "00080020": {"vr": "DA", "Value": [have[0].StudyDate]},
            }
            for study, have in self.studies.items()
            if study == uid
            or (patient and have[0].PatientID.startswith(patient))  # more than was asked for
            or (name and str(have[0].PatientName).lower().startswith(name))
        ]
        self._json(rows)

    def _list(self, have: list[Dataset], manner: str) -> None:
        refused = {"busy": 503, "forbidden": 401, **dict.fromkeys(_UNLISTED, 501)}.get(manner)
        if refused:
            self._say(refused, {"Retry-After": "600"})
            return
        first = int(parse_qs(urlsplit(self.path).query).get("offset", ["0"])[0])
        self._json(
            [
                {
                    "00080018": {"vr": "UI", "Value": [each.SOPInstanceUID]},
                    "0020000E": {"vr": "UI", "Value": [each.SeriesInstanceUID]},
                }
                for each in have[first : first + 3]  # a limit of its own
            ]
        )

    def _send(self, wanted: list[Dataset], manner: str, depth: int) -> None:
        files = [part10(each) for each in wanted]
        if self.headers["Accept"].startswith("application/dicom"):
            self._one(files[0], told=manner != "without end")
            return
        body = body_of(files)
        odd: dict[str, Callable[[], None]] = {
            "unknown": lambda: self._say(404),
            "markup": lambda: self._say(200, {"Content-Type": "text/html"}, b"<h1>Log in</h1>"),
            "chunks": lambda: self._chunks(body, cut=False),
            "ends early": lambda: self._body(body[:_START]),
            "a part of it": lambda: self._body(body_of(files[:-1]), status=206),
            "twice": lambda: self._body(body_of(files * 2)),
            "cut chunks": lambda: self._chunks(body[:_START], cut=True),
            "nothing but a start": lambda: self._body(body[:_START], len(body)),
            "other boundary": lambda: self._body(body.replace(b"--edge", b"--knee")),
            "other study": lambda: self._body(body_of([part10(ct_slice())] * 3)),
            "endless": lambda: self._endless(part10(ct_slice())),
            "slow": lambda: self._slow(files, 2),
            "half": lambda: self._slow(files, len(files) // 2),
        }
        of_many: dict[str, Callable[[], None]] = {
            "breaks off": lambda: self._body(body[: len(body_of(files[:2])) + _START], len(body)),
            "leaves one out": lambda: self._body(body_of(files[:-1])),
        }
        known = odd | (of_many if depth < _DEPTH_OF_ONE else {})
        known.get(manner, lambda: self._body(body))()

    def _one(self, instance: bytes, *, told: bool) -> None:
        """By itself; without its length it may have been cut off."""
        if told:
            self._say(200, {"Content-Type": "application/dicom"}, instance)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom")
        self.end_headers()
        self.wfile.write(instance)
        self.close_connection = True

    def _body(self, body: bytes, announced: int = 0, status: int = 200) -> None:
        self._head(announced or len(body), status)
        self.wfile.write(body)
        self.close_connection = announced > len(body)

    def _slow(self, files: list[bytes], at_once: int) -> None:
        """Some parts, and then nothing until somebody says `go`."""
        body, place = body_of(files), len(body_of(files[:at_once])) - len(END)
        self._head(len(body))
        self.wfile.write(body[:place])
        self.wfile.flush()
        self.go.wait(60)
        self.wfile.write(body[place:])

    def _chunks(self, body: bytes, *, cut: bool) -> None:
        self._head(None)
        self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
        if not cut:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def _endless(self, other: bytes) -> None:
        self._head(1 << 50)
        self.wfile.write(HEAD + other)
        block = bytes(1 << 20)
        while True:
            self.wfile.write(block)

    def _head(self, length: int | None, status: int = 200) -> None:
        self.send_response(status)
        kind = 'multipart/related; type="application/dicom"; boundary=edge'
        self.send_header("Content-Type", kind)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _json(self, rows: list[dict[str, Any]]) -> None:
        self._say(200, {"Content-Type": "application/dicom+json"}, json.dumps(rows).encode())

    def _say(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    protocol_version = "HTTP/1.1"


class _Chunks:
    """A chunked body (RFC 9112 7.1)."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, _size: int, /) -> bytes:
        """One chunk; the last one is empty."""
        length = int(self._file.readline(), 16)
        chunk: bytes = self._file.read(length)
        self._file.readline()
        return chunk


def _named(each: Dataset) -> dict[str, Any]:
    return {"00081155": {"vr": "UI", "Value": [each.SOPInstanceUID]}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Whoever hangs up is expected here."""


@contextmanager
def serving() -> Iterator[int]:
    """The port."""
    server = _Server(("127.0.0.1", 0), OddWebArchive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    OddWebArchive.go.set()
    try:
        yield server.server_port
    finally:
        OddWebArchive.go.set()
        server.shutdown()
        server.server_close()


def _below(each: Dataset, named: list[str]) -> bool:
    uids = [each.StudyInstanceUID, each.SeriesInstanceUID, each.SOPInstanceUID]
    asked = named[1::2]
    return uids[: len(asked)] == asked
