"""What the DICOMweb tests store in the running product, and how they talk to it."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import requests
from pydicom.dataset import Dataset

from tests.builders import part10
from tests.stack import Stack

STORE = 'multipart/related; type="application/dicom"; boundary=edge'


def multipart(*instances: bytes) -> bytes:
    """The body of a Store request."""
    head = b"--edge\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + each + b"\r\n" for each in instances) + b"--edge--\r\n"


def parts_of(response: requests.Response) -> list[tuple[str, bytes]]:
    """Raw header and bytes of each part, cut as the viewer's loader cuts: by the first line."""
    content = response.content
    boundary = content[: content.index(b"\r\n")]
    assert boundary.startswith(b"--")
    pieces = content.split(b"\r\n" + boundary)
    assert pieces[-1].startswith(b"--")
    pieces[0] = pieces[0].removeprefix(boundary)
    found = []
    for piece in pieces[:-1]:
        head, _, body = piece.partition(b"\r\n\r\n")
        found.append((head.decode("latin-1").strip(), body))
    return found


@dataclass
class Archive:
    """The running product, seen by a DICOMweb client."""

    stack: Stack

    @property
    def root(self) -> str:
        return self.stack.url("/dicom-web")

    def get(self, path: str, accept: str | None = None, **options: Any) -> requests.Response:
        headers = {"Accept": accept, **options.pop("headers", {})}
        return self.stack.get("/dicom-web" + path, headers=headers, **options)

    def post(
        self, path: str, body: Any, content_type: str = STORE, **options: Any
    ) -> requests.Response:
        headers = {
            "Content-Type": content_type,
            "Accept": "application/dicom+json",
            **options.pop("headers", {}),
        }
        return requests.post(
            self.root + path,
            data=body,
            headers=headers,
            **{"auth": self.stack.auth, "timeout": 120, **options},
        )

    def store(self, *datasets: Dataset | bytes) -> requests.Response:
        """STOW; returns when the instances are searchable."""
        files = [each if isinstance(each, bytes) else part10(each) for each in datasets]
        return self.post("/studies", multipart(*files))

    def store_files(self, *paths: Path) -> requests.Response:
        return self.post("/studies", multipart(*(path.read_bytes() for path in paths)))

    def json(self, path: str, **options: Any) -> Any:
        response = self.get(path, "application/dicom+json", **options)
        assert response.status_code == 200, (response.status_code, response.text)
        return json.loads(response.content)


def path_of(ds: Dataset) -> str:
    """The instance's path below the service root."""
    return (
        f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
        f"/instances/{ds.SOPInstanceUID}"
    )


def read(data: bytes) -> Dataset:
    """A file in memory, as a stranger reads it."""
    return pydicom.dcmread(io.BytesIO(data))


def header(part_head: str, name: str) -> str:
    """A part header's value; the name is matched letter by letter, as viewers do."""
    match = re.search(rf"(?m)^{re.escape(name)}: (.*?)\r?$", part_head)
    return match.group(1) if match else ""
