"""Pictures of the whole corpus: polarity, colours, reduced decoding, and DCMTK's opinion."""

from __future__ import annotations

import io
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from apps.dicom.pixels import decode
from apps.errors import UnreadableInstance, UnsupportedPixels
from apps.rendering.options import JPEG, PNG, RenderOptions, Viewport
from apps.rendering.render import RenderedImage, render_frame
from tests.corpus_images import CorpusImage, read_image, references
from tests.domain.pictures import shown
from tests.programs import need


def images(corpus: Path) -> Iterator[tuple[str, CorpusImage]]:
    """Every image that can be decoded; of the long series each eighth."""
    for index, row in enumerate(references(corpus)):
        if ("series-" in row["path"] or "phantom" in row["path"]) and index % 8:
            continue
        try:
            image = read_image(corpus / row["path"])
        except UnreadableInstance:
            continue
        if image.frames is not None:
            yield row["path"], image


def picture(image: CorpusImage, options: RenderOptions) -> RenderedImage:
    return render_frame(
        image.frame(),
        image.dataset,
        image.transfer_syntax_uid,
        options,
        bit_offset=image.bit_offset(),
        bulk_data=image.bulk_data,
    )


def number(image: CorpusImage, tag: str, otherwise: float) -> float:
    values = image.dataset.get(tag, {}).get("Value") or [otherwise]
    return float(values[0])


def modality_values(image: CorpusImage, stored: NDArray[Any]) -> NDArray[Any]:
    return stored * number(image, "00281053", 1) + number(image, "00281052", 0)


def without_padding(image: CorpusImage, stored: NDArray[Any]) -> NDArray[np.bool_]:
    start = image.dataset.get("00280120", {}).get("Value")
    if not start:
        return np.ones(stored.shape, bool)
    end = (image.dataset.get("00280121", {}).get("Value") or start)[0]
    low, high = (np.array(v).astype(np.int64).astype(stored.dtype) for v in (start[0], end))
    return (stored < low) | (stored > high)


def test_PIX_01_every_grey_image_of_the_corpus_has_the_right_polarity(corpus: Path) -> None:
    """A rising window keeps the order of values, so the correlation's sign is the polarity."""
    checked, wrong, refused = 0, [], []
    for path, image in images(corpus):
        try:
            drawn = shown(picture(image, RenderOptions(PNG)))
        except UnsupportedPixels:
            refused.append(path)
            continue
        if drawn.ndim != 2:
            continue
        stored = decode(image.frame(), image.description, bit_offset=image.bit_offset()).pixels
        kept = without_padding(image, stored)
        if drawn.shape != stored.shape:
            stored = np.asarray(Image.fromarray(stored).resize(drawn.shape[::-1], 0))
            kept = np.asarray(Image.fromarray(kept).resize(drawn.shape[::-1], 0))
        values = modality_values(image, stored.astype(np.float64))[kept]
        levels = drawn[kept].astype(np.float64)
        if values.size < 2 or np.ptp(values) == 0 or np.ptp(levels) == 0:
            continue
        correlation = np.corrcoef(values, levels)[0, 1]
        negative = image.description.photometric_interpretation == "MONOCHROME1"
        if bool(correlation < 0) is not negative or abs(correlation) < 0.01:
            wrong.append((path, round(float(correlation), 3)))
        checked += 1
    assert wrong == []
    assert checked > 150
    assert set(refused) <= {
        "dicom/odd/MR_truncated.dcm",
        "dicom/sc-color/SC_rgb_small_odd_big_endian.dcm",
    }


BARS = [
    (255, 0, 0), (255, 128, 128), (0, 255, 0), (128, 255, 128), (0, 0, 255),
    (128, 128, 255), (0, 0, 0), (64, 64, 64), (192, 192, 192), (255, 255, 255),
]  # fmt: skip


def test_PIX_07_the_colour_bars_look_the_same_in_every_encoding(corpus: Path) -> None:
    """RGB, YBR, planes, 8 to 32 bits, RLE, JPEG, JPEG 2000, with true and with false labels."""
    checked = 0
    for row in references(corpus):
        path = row["path"]
        if not ("/SC_rgb" in path or "/SC_ybr" in path) or row["shape"] != "100x100x3":
            continue
        drawn = shown(picture(read_image(corpus / path), RenderOptions(PNG)))
        bars = drawn[5:100:10, 50].astype(int)
        assert np.abs(bars - BARS).max() <= 6, path
        checked += 1
    assert checked > 35


def test_reduced_decoding_shows_the_same_picture(corpus: Path) -> None:
    """Wavelets keep more contrast in small detail than averaging does; nothing else differs."""
    small = Viewport(128, 128)
    checked, near = 0, []
    for path, image in images(corpus):
        if not any(part in path for part in ("J2K", "JPEG2000", "JPH", ".50.", "us/")):
            continue
        fast = shown(picture(image, RenderOptions(PNG, viewport=small))).astype(int)
        # Drawing overlays (there are none) needs the whole frame, so this one is decoded fully.
        whole = shown(picture(image, RenderOptions(PNG, viewport=small, overlays=True))).astype(int)
        assert fast.shape == whole.shape, path
        assert np.corrcoef(fast.ravel(), whole.ravel())[0, 1] > 0.9, path
        near.append(np.abs(fast - whole).mean())
        checked += not np.array_equal(fast, whole)
    assert checked >= 8
    assert np.median(near) < 1.5


def test_a_large_codestream_is_reduced_much_faster_than_it_is_decoded(corpus: Path) -> None:
    image = read_image(corpus / "dicom/cr-dx-mg/966_fixed.dcm")
    options = RenderOptions(JPEG, viewport=Viewport(256, 256))

    def cost(options: RenderOptions) -> float:
        started = time.process_time()
        picture(image, options)
        return time.process_time() - started

    whole = RenderOptions(JPEG, viewport=Viewport(256, 256), overlays=True)
    assert min(cost(options) for _ in range(3)) * 3 < min(cost(whole) for _ in range(3))


@pytest.mark.stranger
@pytest.mark.parametrize(
    ("path", "window"),
    [
        ("syntax-ct/CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm", True),
        ("ct/sample1", True),
        ("ct/CT_small.dcm", False),
        ("mr/MR_small.dcm", True),
        ("cr-dx-mg/CR-MONO1-10-chest", True),
        ("rt/ct_1.dcm", True),
        ("series-ct-head", True),
        ("lut/mlut_18.dcm", False),
    ],
)
def test_WAD_19_dcmtk_draws_the_same_grey_levels(
    corpus: Path, tmp_path: Path, path: str, *, window: bool
) -> None:
    """dcm2pnm with the first window, or over all values, differs by at most one level."""
    need("dcm2pnm")
    file = corpus / "dicom" / path
    file = sorted(file.iterdir())[20] if file.is_dir() else file
    out = tmp_path / "out.pgm"
    how = ["+Wi", "1"] if window else ["+Wm"]
    subprocess.run(
        ["dcm2pnm", "-O", "-S", "+op", *how, "-ll", "error", str(file), str(out)],
        check=True,
        timeout=60,
    )
    theirs = np.asarray(Image.open(io.BytesIO(out.read_bytes()))).astype(int)
    ours = shown(picture(read_image(file), RenderOptions(PNG))).astype(int)
    if ours.shape != theirs.shape:
        pytest.fail(f"{ours.shape} against {theirs.shape}")
    assert np.abs(ours - theirs).max() <= 1
