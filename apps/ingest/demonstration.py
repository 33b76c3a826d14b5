"""Example studies for a newcomer: files that pydicom ships inside its package, nothing fetched.

They go the way every instance goes, through the inbox; loading them again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

from apps.dicom.part10 import Provenance
from apps.ingest.inbox import receive_part10, ring

# Valid files a viewer can show: images of several kinds and codings, and two reports. Folders
# hold studies of several series. The package has many more, most of them broken on purpose.
EXAMPLES: Final = (
    "examples_overlay.dcm",  # MR with overlay planes, windowed
    "examples_ybr_color.dcm",  # ultrasound, 30 frames, JPEG Baseline, YBR
    "examples_rgb_color.dcm",  # ultrasound, RGB
    "examples_jpeg2k.dcm",  # ultrasound, JPEG 2000
    "examples_palette.dcm",  # ultrasound, palette color
    "CT_small.dcm",  # signed, rescaled
    "MR_small.dcm",
    "693_J2KI.dcm",  # CT, JPEG 2000
    "JPEG2000.dcm",  # nuclear medicine, whole body
    "image_dfl.dcm",  # deflated data set
    "SC_rgb_rle_2frame.dcm",  # secondary capture, RLE, two frames
    "reportsi.dcm",  # structured report with an image reference
    "test-SR.dcm",  # structured report, nested
    "dicomdirtests/77654033",  # radiographs, head CT
    "dicomdirtests/98892001",  # cardiac CT
    "dicomdirtests/98892003",  # MR of brain and carotids
)
_HEAD_BYTES: Final = 1 << 16
_CHUNK_BYTES: Final = 1 << 20


def example_files() -> list[Path]:
    """Every example as a local file, in a fixed order. FileNotFoundError when one is gone."""
    folder = Path(str(files("pydicom").joinpath("data/test_files")))
    found: list[Path] = []
    for name in EXAMPLES:
        path = folder / name
        if path.is_dir():
            found += sorted(each for each in path.rglob("*") if each.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise FileNotFoundError(path)
    return found


def load_demonstration(user: str = "") -> list[str]:
    """Hands every example to the inbox and rings; returns the inbox names.

    Raises OutOfResources at the watermark, Unavailable when the disk fails.
    """
    provenance = Provenance(door="demo", user=user)
    names = [_receive(path, provenance) for path in example_files()]
    ring()
    return names


def _receive(path: Path, provenance: Provenance) -> str:
    with path.open("rb") as handle:

        def chunks() -> Iterator[bytes]:
            while chunk := handle.read(_CHUNK_BYTES):
                yield chunk

        return receive_part10(provenance, handle.read(_HEAD_BYTES), chunks())
