"""The Transfer Syntax of a frame whose sender names none."""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import pytest

from apps.dicom.frame_syntaxes import syntax_of_frame
from apps.errors import UnreadableInstance

GREY = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)


@pytest.mark.parametrize(
    ("media_type", "encoder", "options", "syntax"),
    [
        ("image/jpeg", "jpeg8", {}, "50"),
        ("image/jpeg", "jpeg8", {"lossless": True, "predictor": 1}, "70"),
        ("image/jpeg", "jpeg8", {"lossless": True, "predictor": 6}, "57"),
        ("image/jls", "jpegls", {}, "80"),
        ("image/jls", "jpegls", {"level": 3}, "81"),
        ("image/jp2", "jpeg2k", {"reversible": True, "codecformat": "j2k"}, "90"),
        ("image/jp2", "jpeg2k", {"level": 30, "reversible": False, "codecformat": "jp2"}, "91"),
        ("image/jpx", "jpeg2k", {"reversible": True, "codecformat": "j2k"}, "92"),
        ("image/jphc", "htj2k", {"reversible": True}, "201"),
        ("image/jphc", "htj2k", {"level": 0.01, "reversible": False}, "203"),
        # What the bytes are counts, not what they are called.
        ("image/jpeg", "jpegls", {}, "80"),
    ],
)
def test_STW_06_a_frame_is_of_the_syntax_that_its_header_says(
    media_type: str, encoder: str, options: dict[str, Any], syntax: str
):
    frame = getattr(imagecodecs, f"{encoder}_encode")(GREY, **options)
    assert syntax_of_frame(frame, media_type) == f"1.2.840.10008.1.2.4.{syntax}"


def test_STW_06_what_is_no_codestream_is_none_of_its_type():
    with pytest.raises(UnreadableInstance):
        syntax_of_frame(b"\x89PNG\r\n\x1a\n" + bytes(100), "image/jpeg")
    assert syntax_of_frame(bytes(64), "image/dicom-rle") == "1.2.840.10008.1.2.5"
