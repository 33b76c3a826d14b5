"""QIDO-RS with 10,000 and 100,000 studies against Debian's Orthanc with its plugin, in one run.

    python benchmarks/qido_100k.py [--sizes 10000 100000] [--seconds 3] [--only NAME]

Starts both products on free ports with throwaway folders and stores the same studies, of one small
instance each, in both by C-STORE. At each size every kind of search is asked of both, in turns, by
one client and by eight; first, both must give the same number of answers. We are asked with a
session's cookie, as a viewer asks, and note every search for the audit; Orthanc has neither.
Prints p50 and p95 in milliseconds. Needs `Orthanc` and `wrk`, and some ten minutes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import struct
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.dicomweb import JSON, Orthanc, Server, signed_in, wrk
from benchmarks.query_100k import SYLLABLES
from benchmarks.receive_sender import CT, Connection, message_of
from tests.stack import Stack

ROOT = "1.2.826.0.1.3680043.8.498.2026"
SENDERS = 2
FIRST_DAY = date(2015, 1, 1)
DAYS = 3650
MODALITIES = ("CT", "MR", "CR", "DX", "US")
ASKED = 200
"""Different questions of each kind, so that no answer is a repeated one."""


@dataclass(frozen=True)
class Stored:
    """What can be asked of study number `number`; everything follows from the number."""

    number: int

    @property
    def study(self) -> str:
        return f"{ROOT}.{self.number}"

    @property
    def series(self) -> str:
        return f"{self.study}.1"

    @property
    def patient_id(self) -> str:
        return f"P{self.number // 3:07d}"

    @property
    def family(self) -> str:
        return "".join(random.Random(self.number // 3).choices(SYLLABLES, k=3)).title()

    @property
    def day(self) -> date:
        return FIRST_DAY + timedelta(days=random.Random(self.number).randrange(DAYS))

    @property
    def accession(self) -> str:
        return f"A{self.number:08d}"

    @property
    def modality(self) -> str:
        return MODALITIES[self.number % len(MODALITIES)]

    def data_set(self) -> tuple[str, bytes]:
        """SOP Instance UID, and the data set in Explicit VR Little Endian."""
        uid = f"{self.series}.1"
        return uid, data_set(
            {
                0x00080016: ("UI", CT),
                0x00080018: ("UI", uid),
                0x00080020: ("DA", f"{self.day:%Y%m%d}"),
                0x00080030: ("TM", f"{self.number % 24:02d}{self.number % 60:02d}00"),
                0x00080050: ("SH", self.accession),
                0x00080060: ("CS", self.modality),
                0x00080090: ("PN", "Referrer^Rita"),
                0x00081030: ("LO", f"{self.modality} examination"),
                0x00100010: ("PN", f"{self.family}^Given"),
                0x00100020: ("LO", self.patient_id),
                0x00100030: ("DA", "19500101"),
                0x00100040: ("CS", "O"),
                0x0020000D: ("UI", self.study),
                0x0020000E: ("UI", self.series),
                0x00200010: ("SH", str(self.number)),
                0x00200011: ("IS", "1"),
                0x00200013: ("IS", "1"),
            }
        )


def data_set(elements: dict[int, tuple[str, str]]) -> bytes:
    """Elements with VRs of two length bytes, in Explicit VR Little Endian."""
    written = bytearray()
    for tag, (vr, text) in elements.items():
        value = text.encode()
        value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
        written += struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value
    return bytes(written)


# TABLE: a kind of search, and the question about one study. All but the list are small answers.
QUESTIONS: dict[str, Callable[[Stored], str]] = {
    "a study by its UID": lambda each: f"/studies?StudyInstanceUID={each.study}",
    "a patient's studies": lambda each: f"/studies?PatientID={each.patient_id}",
    "by accession number": lambda each: f"/studies?AccessionNumber={each.accession}",
    "names that begin so": lambda each: f"/studies?PatientName={each.family[:5]}*&limit=50",
    "one modality of one day": (
        lambda each: (
            f"/studies?StudyDate={each.day:%Y%m%d}&ModalitiesInStudy={each.modality}&limit=50"
        )
    ),
    "series of a study": lambda each: f"/studies/{each.study}/series",
    "a viewer's first list": (
        lambda _: "/studies?limit=101&offset=0&includefield=00081030,00080060,00080090"
    ),
}
LAST_PAGE = "the last page"


def questions(kind: str, size: int) -> list[str]:
    if kind == LAST_PAGE:
        return [f"/studies?limit=25&offset={size - 25}"]
    chosen = random.Random(size).sample(range(size), ASKED)
    return list(dict.fromkeys(QUESTIONS[kind](Stored(number)) for number in chosen))


def fill(port: int, called: str, first: int, last: int) -> None:
    """Stores studies `first` to `last` over one association; each must be a success."""
    connection = Connection(port, called)
    for number in range(first, last):
        uid, data = Stored(number).data_set()
        connection.store(message_of(uid, data, number % 60_000 + 1, connection.maximum))
    connection.release()


def fill_all(server: Server, port: int, called: str, first: int, last: int) -> None:
    """By a few senders; returns when all are searchable."""
    started = time.perf_counter()
    step = (last - first) // SENDERS
    with ProcessPoolExecutor(SENDERS, multiprocessing.get_context("spawn")) as pool:
        jobs = [
            pool.submit(fill, port, called, first + at * step, first + (at + 1) * step)
            for at in range(SENDERS)
        ]
        for job in jobs:
            job.result()
    newest = QUESTIONS["a study by its UID"](Stored(last - 1))
    while not _found(server, newest):
        time.sleep(0.5)
    print(f"{server.name}: {last - first} studies stored in {time.perf_counter() - started:.0f} s")


def _found(server: Server, path: str) -> bool:
    """Whether there is an answer: without any it is 204 or an empty list."""
    response = server.session.get(server.root + path, headers={"Accept": JSON}, timeout=120)
    return response.status_code == 200 and bool(response.json())


def same_answers(servers: list[Server], path: str) -> None:
    """Both must find as many, or one is fast because it is wrong."""
    counts = {each.name: len(each.get(path, JSON).json()) for each in servers}
    if len(set(counts.values())) != 1:
        print(f"DIFFERENT ANSWERS to {path}: {counts}")


def measure(servers: list[Server], size: int, length: int, only: str) -> None:
    print(f"\n{size} studies{'':27}{'pacsweb p50':>12}{'p95':>8}{'Orthanc p50':>13}{'p95':>8}"
          f"{'times better':>20}")  # fmt: skip
    for kind in (*QUESTIONS, LAST_PAGE):
        if not kind.startswith(only):
            continue
        paths = questions(kind, size)
        same_answers(servers, paths[0])
        for clients in (1, 8):
            (_, ours, ours95), (_, theirs, theirs95) = (
                wrk(server, paths, JSON, clients, length) for server in servers
            )
            print(f"{kind + f', {clients} clients':40}{ours:12.1f}{ours95:8.1f}"
                  f"{theirs:13.1f}{theirs95:8.1f}{theirs / ours:12.1f}"
                  f"{theirs95 / ours95:8.1f}", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", default="", help="searches whose name begins so")
    options = parser.parse_args()
    for program in ("Orthanc", "wrk"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed here.")
    stack, orthanc = Stack(), Orthanc()
    try:
        orthanc.start()
        stack.start()
        ours = Server("pacsweb", stack.url("/dicom-web"), stack.restart, signed_in(stack))
        theirs = Server("Orthanc", orthanc.root, orthanc.restart)
        stored = 0
        for size in options.sizes:
            fill_all(ours, stack.dicom_port, stack.ae_title, stored, size)
            fill_all(theirs, orthanc.dicom_port, "ORTHANC", stored, size)
            stored = size
            measure([ours, theirs], size, options.seconds, options.only)
    finally:
        orthanc.stop()
        stack.stop()
        shutil.rmtree(orthanc.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
