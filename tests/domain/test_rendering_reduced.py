"""Wavelet codestreams decoded at a part of their size, of any size."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from apps.dicom.pixel_description import PixelDescription
from apps.rendering.reduced import decode_reduced
from tests.domain.pictures import image


@pytest.mark.parametrize("side", range(256, 264))
def test_a_side_of_any_length_is_halved_as_often_as_can_be(side: int) -> None:
    pixels = np.add.outer(np.arange(side), np.arange(259)).astype(np.uint16)
    frame = bytes(imagecodecs.jpeg2k_encode(pixels, 0, codecformat="j2k", resolutions=5))
    description = PixelDescription.from_json(image(pixels), "1.2.840.10008.1.2.4.90")
    for halvings in (1, 2, 3):
        reduced = decode_reduced(frame, description, halvings)
        assert reduced is not None
        sizes = [tuple(-(-each >> times) for each in pixels.shape) for times in (1, 2, 3)]
        assert reduced.pixels.shape in sizes[:halvings]
