"""A sender that costs little: instances are prepared as PDUs, each association is a process."""

from __future__ import annotations

import io
import multiprocessing
import secrets
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

EXPLICIT = b"1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _associate(called: str) -> bytes:
    context = b"\1\0\0\0" + _item(0x30, CT.encode()) + _item(0x40, EXPLICIT)
    users = _item(0x51, struct.pack(">I", 131072)) + _item(0x52, b"1.2.3.4")
    body = b"\0\1\0\0" + called.encode().ljust(16) + b"BENCHMARK".ljust(16) + bytes(32)
    body += _item(0x10, b"1.2.840.10008.3.1.1.1") + _item(0x20, context) + _item(0x50, users)
    return struct.pack(">BxI", 1, len(body)) + body


def _command(uid: str, message_id: int) -> bytes:
    def element(number: int, value: bytes) -> bytes:
        return struct.pack("<HHI", 0, number, len(value)) + value

    def ui(text: str) -> bytes:
        return text.encode() + b"\0" * (len(text) % 2)

    us = struct.Struct("<H").pack
    body = (
        element(0x0002, ui(CT))
        + element(0x0100, us(1))
        + element(0x0110, us(message_id))
        + element(0x0700, us(0))
        + element(0x0800, us(1))
        + element(0x1000, ui(uid))
    )
    return element(0, struct.pack("<I", len(body))) + body


def _p_data(control: int, value: bytes) -> bytes:
    return struct.pack(">BxIIBB", 4, len(value) + 6, len(value) + 2, 1, control) + value


def message_of(uid: str, data: bytes, message_id: int, maximum: int) -> bytes:
    """A C-STORE request with its data set, in PDUs of the length that the receiver allows."""
    room = (maximum or 131072) - 6
    parts = [_p_data(3, _command(uid, message_id))]
    for start in range(0, len(data), room):
        last = start + room >= len(data)
        parts.append(_p_data(2 if last else 0, data[start : start + room]))
    return b"".join(parts)


class Connection:
    """One association."""

    def __init__(self, port: int, called: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(_associate(called))
        kind, body = self._pdu()
        assert kind == 2, f"not accepted: {kind} {body!r}"
        self.maximum = struct.unpack(">I", body[body.rindex(b"\x51\0\0\4") + 4 :][:4])[0]

    def store(self, message: bytes) -> None:
        """Sends one message and waits for its success."""
        self.socket.sendall(message)
        kind, body = self._pdu()
        assert kind == 4
        status = _status(body[6:])
        assert status == 0, hex(status)

    def release(self) -> None:
        self.socket.sendall(bytes.fromhex("05000000000400000000"))
        self._pdu()
        self.socket.close()

    def _pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        got = bytearray()
        while len(got) < length:
            # A receiver that answers in two writes with Nagle's algorithm on (DCMTK, so Orthanc)
            # would otherwise wait 40 ms for our acknowledgement, and we would measure that.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            part = self.socket.recv(length - len(got))
            assert part, "closed"
            got += part
        return bytes(got)


def _status(command: bytes) -> int:
    """(0000,0900) of a command set."""
    at = 0
    while at < len(command):
        _, element, length = struct.unpack_from("<HHI", command, at)
        if element == 0x0900:
            return int(struct.unpack_from("<H", command, at + 8)[0])
        at += 8 + length
    raise AssertionError("a response without a status")


@dataclass(frozen=True)
class Series:
    """Instances of one new study: (SOP Instance UID, data set)."""

    study_instance_uid: str
    instances: list[tuple[str, bytes]]


def _uid() -> str:
    return "1.2.826.0.1.3680043.8.498." + str(10**29 + secrets.randbelow(10**29))


class Template:
    """Data sets of a real series, whose UIDs can be replaced without encoding again."""

    def __init__(self, folder: Path, *, pixels: int | None = None) -> None:
        self._data: list[bytes] = []
        self._marks = {name: _uid() for name in ("Study", "Series", "SOP")}
        for path in sorted(folder.iterdir()):
            dataset = dcmread(path)
            if dataset.file_meta.TransferSyntaxUID != ExplicitVRLittleEndian:
                dataset.decompress()
            dataset.SOPClassUID = CT
            for name, uid in self._marks.items():
                setattr(dataset, f"{name}InstanceUID", uid)
            if pixels is not None:
                dataset.Rows = dataset.Columns = pixels
                dataset.PixelData = dataset.PixelData[: pixels * pixels * 2]
            self._data.append(_encoded(dataset))

    @property
    def size(self) -> int:
        return len(self._data[0])

    def series(self, count: int) -> Series:
        study, series = _uid(), _uid()
        instances = []
        for number in range(count):
            sop, data = _uid(), self._data[number % len(self._data)]
            for name, uid in (("Study", study), ("Series", series), ("SOP", sop)):
                data = data.replace(self._marks[name].encode(), uid.encode())
            instances.append((sop, data))
        return Series(study, instances)

    def files(self, folder: Path, count: int) -> list[Path]:
        """The same as files, for senders that read files."""
        paths = []
        for number, (sop, data) in enumerate(self.series(count).instances):
            meta = b"".join(
                struct.pack("<HH2sH", 2, element, b"UI", len(value)) + value
                for element, value in (
                    (0x0002, CT.encode() + b"\0"),
                    (0x0003, sop.encode()),
                    (0x0010, EXPLICIT + b"\0"),
                )
            )
            length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
            path = folder / f"{number:05d}"
            path.write_bytes(bytes(128) + b"DICM" + length + meta + data)
            paths.append(path)
        return paths


def _encoded(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False  # type: ignore[attr-defined]
    from pydicom.filebase import DicomFileLike

    target = DicomFileLike(buffer)
    target.is_little_endian, target.is_implicit_VR = True, False
    write_dataset(target, dataset)
    return buffer.getvalue()


def send(port: int, called: str, series: Series, associations: int) -> tuple[float, float]:
    """Sends all instances; (seconds from first byte to last response, clock at the last)."""
    context = multiprocessing.get_context("fork")
    ready, go = context.Semaphore(0), context.Event()
    ends: multiprocessing.Queue[float] = context.Queue()

    def one(share: list[tuple[str, bytes]]) -> None:
        connection = Connection(port, called)
        messages = [
            message_of(uid, data, 1 + number % 60000, connection.maximum)
            for number, (uid, data) in enumerate(share)
        ]
        ready.release()
        go.wait()
        for message in messages:
            connection.store(message)
        ends.put(time.monotonic())
        connection.release()

    workers = [
        context.Process(target=one, args=(series.instances[number::associations],))
        for number in range(associations)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.acquire()
    began = time.monotonic()
    go.set()
    last = max(ends.get(timeout=120) for _ in workers)
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    return last - began, last


def send_large(port: int, called: str, template: Template, megabytes: int) -> float:
    """One instance of so many MiB, made while it is sent; seconds."""
    sop, data = template.series(1).instances[0]
    at = data.rindex(b"\xe0\x7f\x10\0OW\0\0")
    head = data[: at + 8] + struct.pack("<I", megabytes << 20)
    connection = Connection(port, called)
    room = (connection.maximum or 131072) - 6
    block = _p_data(0, secrets.token_bytes(room))
    connection.socket.sendall(_p_data(3, _command(sop, 1)) + _p_data(0, head))
    left = megabytes << 20
    began = time.monotonic()
    while left > room:
        connection.socket.sendall(block)
        left -= room
    connection.store(_p_data(2, bytes(left)))
    seconds = time.monotonic() - began
    connection.release()
    return seconds
