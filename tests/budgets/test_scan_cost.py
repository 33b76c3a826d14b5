"""One scan: what it reads, and what it costs against the library's way in the same run."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import pydicom

from apps.dicom.reader import InstanceReader
from tests.builders import ct_slice, part10
from tests.standards.sources import Held


def best(work: Callable[[], object], times: int) -> float:
    """CPU seconds of the quickest of so many runs."""
    return min(_seconds(work) for _ in range(times))


def _seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def test_a_scan_with_json_and_frames_is_far_cheaper_than_parse_and_to_json():
    content = part10(ct_slice(size=512))
    source = Held(content)
    InstanceReader(source).scan()
    ours = best(lambda: InstanceReader(source).scan(), 50)

    def theirs() -> str:
        return pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True).to_json()

    assert ours * 3 < best(theirs, 10)


def test_a_scan_reads_the_head_once_and_no_pixels():
    source = Held(part10(ct_slice(size=512, frames=4)))
    InstanceReader(source).scan()
    assert source.size > 2_000_000
    assert source.requested < 140_000
