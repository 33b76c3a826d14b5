"""Memory of every process while large studies come and go at once.

    python benchmarks/memory.py [--clients 8] [--read-gb 1] [--store-gb 5] [--mebibytes 64]

Starts the product with a throwaway folder and stores one multi-frame object by STOW-RS. Then each
client retrieves that study by WADO-RS (curl, the body thrown away) while one more stores objects of
half a gigabyte in a single request whose body is made as it is sent. All the while each process's
own memory (the anonymous part of Pss: what the system could not take back by forgetting files) is
read from /proc. Prints it before and at its highest, and fails when any process grew by more than
`--mebibytes`. Needs `curl`, and free disk space for what is read and stored.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pydicom.dataset import Dataset

from tests.builders import ct_slice, part10
from tests.stack import Stack

GIB = 1 << 30
SIDE = 512
FRAME_BYTES = SIDE * SIDE * 2
BLOCK = np.random.default_rng(7).integers(-1024, 3000, SIDE * SIDE).astype("<i2").tobytes()
PIXEL_DATA_HEADER = b"\xe0\x7f\x10\x00OW\0\0"
STORED_BYTES = GIB // 2
DICOM = 'multipart/related; type="application/dicom"'
EVERY_SECONDS = 0.2


@dataclass(frozen=True)
class LargeObject:
    """A multi-frame object that is never whole in memory: its head, and how many frames follow."""

    dataset: Dataset
    frames: int

    @classmethod
    def of(cls, size: int) -> LargeObject:
        frames = size // FRAME_BYTES
        ds = ct_slice()
        ds.Rows = ds.Columns = SIDE
        ds.NumberOfFrames = frames
        del ds.PixelData
        return cls(ds, frames)

    def chunks(self) -> Iterator[bytes]:
        """The file, frame by frame."""
        length = (self.frames * FRAME_BYTES).to_bytes(4, "little")
        yield part10(self.dataset) + PIXEL_DATA_HEADER + length
        yield from itertools.repeat(BLOCK, self.frames)


def multipart(objects: list[LargeObject]) -> Iterator[bytes]:
    """The body of one Store request."""
    for each in objects:
        yield b"--edge\r\nContent-Type: application/dicom\r\n\r\n"
        yield from each.chunks()
        yield b"\r\n"
    yield b"--edge--\r\n"


def store(stack: Stack, objects: list[LargeObject]) -> None:
    """One Store request of all of them; returns when they are searchable."""
    answer = requests.post(
        stack.url("/dicom-web/studies"),
        data=multipart(objects),
        headers={"Content-Type": f"{DICOM}; boundary=edge", "Accept": "application/dicom+json"},
        auth=stack.auth,
        timeout=3600,
    )
    assert answer.status_code == 200, (answer.status_code, answer.text[:500])


def retrieve(stack: Stack, study: str) -> subprocess.Popen[bytes]:
    """A client of its own process that throws the study away as it comes."""
    return subprocess.Popen(
        ["curl", "-sf", "-o", "/dev/null", "-w", "%{size_download}", "-u", ":".join(stack.auth),
         "-H", f"Accept: {DICOM}; transfer-syntax=*", stack.url(f"/dicom-web/studies/{study}")],
        stdout=subprocess.PIPE,
    )  # fmt: skip


class Watch(threading.Thread):
    """The memory of every process of the product, in bytes: when it began, and at its highest."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = psutil.Process(root)
        self._done = threading.Event()
        self.before = self._now()
        self.highest = dict(self.before)

    def run(self) -> None:
        while not self._done.wait(EVERY_SECONDS):
            for process, size in self._now().items():
                self.before.setdefault(process, size)
                self.highest[process] = max(self.highest.get(process, 0), size)

    def stop(self) -> None:
        self._done.set()
        self.join()

    def _now(self) -> dict[tuple[int, str], int]:
        found = {}
        for process in [self._root, *self._root.children(recursive=True)]:
            try:
                words = process.cmdline()
                lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            except (psutil.NoSuchProcess, OSError):
                continue
            size = next(int(each.split()[1]) for each in lines if each.startswith("Pss_Anon"))
            found[process.pid, _name(words)] = size * 1024
        return found


def _name(words: list[str]) -> str:
    """What the process is, of its command line."""
    known = [each for each in words if "pacsweb." in each or each in {"dimse", "mllp", "serve"}]
    queues = [words[at + 1] for at, each in enumerate(words) if each == "--queues"]
    return " ".join([*known, *queues]) or Path(words[0] if words else "?").name


def report(watch: Watch, limit: int) -> bool:
    """Prints a line per process; whether all stayed within the limit."""
    print(f"\n{'process':44}{'before':>10}{'highest':>10}{'grown':>10}  MiB")
    flat = True
    for (pid, name), before in sorted(watch.before.items(), key=lambda each: each[0][1]):
        grown = watch.highest[pid, name] - before
        flat = flat and grown <= limit
        figures = (before, watch.highest[pid, name], grown)
        print(f"{f'{name} ({pid})':44}" + "".join(f"{each / (1 << 20):10.1f}" for each in figures))
    return flat


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--read-gb", type=float, default=1.0)
    parser.add_argument("--store-gb", type=float, default=5.0)
    parser.add_argument("--mebibytes", type=int, default=64)
    options = parser.parse_args()
    read = LargeObject.of(int(options.read_gb * GIB))
    written = [LargeObject.of(STORED_BYTES) for _ in range(int(options.store_gb * 2))]
    stack = Stack()
    needed = (options.read_gb + 2 * options.store_gb) * GIB
    if shutil.disk_usage(stack.folder).free < needed:
        raise SystemExit(f"{needed / 1e9:.0f} GB of disk space are needed in {stack.folder}.")
    try:
        stack.start()
        # Whatever a process makes once, it has made before the memory is looked at.
        store(stack, [LargeObject.of(4 * FRAME_BYTES)])
        store(stack, [read])
        time.sleep(2.0)
        flat = measured(stack, read, written, options.clients, options.mebibytes << 20)
    finally:
        stack.stop()
    raise SystemExit(0 if flat else 1)


def measured(
    stack: Stack, read: LargeObject, written: list[LargeObject], clients: int, limit: int
) -> bool:
    """All at once, watched."""
    assert stack._process is not None
    watch = Watch(stack._process.pid)
    watch.start()
    began = time.monotonic()
    readers = [retrieve(stack, read.dataset.StudyInstanceUID) for _ in range(clients)]
    store(stack, written)
    took = time.monotonic() - began
    sizes = [int(each.communicate()[0]) for each in readers]
    watch.stop()
    assert all(size > read.frames * FRAME_BYTES for size in sizes), sizes
    print(f"{clients} clients read {sum(sizes) / 1e9:.1f} GB while {len(written)} objects of")
    print(f"{STORED_BYTES / 1e9:.2f} GB were stored in one request; stored after {took:.0f} s")
    return report(watch, limit)


if __name__ == "__main__":
    main()
