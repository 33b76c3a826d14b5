"""Every image of the corpus against the reference values of decoders nobody here wrote."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from apps.dicom.pixels import decode, transcode_frame, transcoded
from apps.errors import UnreadableInstance, UnsupportedPixels
from tests.corpus_images import CorpusImage, read_image, references

ORACLE = Path(__file__).with_name("gdcm_oracle.py")

# Objects without pixels, without a size, or cut inside the pixels: nothing can be decoded.
NOT_AN_IMAGE = {
    "dicom/odd/GH1146.dcm",
    "dicom/odd/GH179A.dcm",
    "dicom/odd/GH179B.dcm",
    "dicom/odd/MR_truncated.dcm",
    "dicom/odd/meta_missing_tsyntax.dcm",
    "dicom/odd/nested_priv_SQ.dcm",
}
# 27 bytes of 8-bit samples in 16-bit words: the last sample lies in the padding byte behind the
# frame, which its range does not hold.
CUT_BY_PADDING = {"dicom/sc-color/SC_rgb_small_odd_big_endian.dcm"}
# No reference decoder reads them; the same segmentation exists in JPEG 2000.
TWINS = {
    "dicom/seg/liver_deflate.dcm": "dicom/seg/liver_j2k.dcm",
    "dicom/seg/liver_rle.dcm": "dicom/seg/liver_j2k.dcm",
    "dicom/seg/liver_nonbyte_aligned_deflate.dcm": "dicom/seg/liver_nonbyte_aligned_j2k.dcm",
    "dicom/seg/liver_nonbyte_aligned_rle.dcm": "dicom/seg/liver_nonbyte_aligned_j2k.dcm",
}


def stored_values(image: CorpusImage) -> NDArray[Any]:
    return decode(image.frame(), image.description, bit_offset=image.bit_offset()).pixels


def digest(values: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def gdcm_values(path: Path, like: NDArray[Any]) -> NDArray[Any] | None:
    """GDCM's first frame, or None where it gives up (it may abort its process)."""
    done = subprocess.run(
        [sys.executable, str(ORACLE), str(path)], capture_output=True, check=False, timeout=60
    )
    if done.returncode or len(done.stdout) < like.nbytes:
        return None
    return np.frombuffer(done.stdout[: like.nbytes], dtype=like.dtype).reshape(like.shape)


def test_every_image_of_the_corpus_decodes_to_its_reference(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bit for bit against pixels.csv; lossy frames on which decoders differ, against GDCM."""
    exact, by_gdcm, by_twin, wrong = 0, [], [], []
    for row in references(corpus):
        path = row["path"]
        if path in NOT_AN_IMAGE | CUT_BY_PADDING:
            continue
        values = stored_values(read_image(corpus / path))
        if path in TWINS:
            same = digest(values) == digest(stored_values(read_image(corpus / TWINS[path])))
            (by_twin if same else wrong).append(path)
        elif digest(values) == row["sha256"]:
            exact += 1
            if str(values.dtype) != row["dtype"]:
                wrong.append(f"{path}: {values.dtype} instead of {row['dtype']}")
        elif row["agreement"].startswith("agree within"):
            other = gdcm_values(corpus / path, values)
            agrees = other is not None and np.array_equal(other, values)
            near = abs(values.mean() - float(row["mean"])) < 0.1
            verdict = "cannot" if other is None else "exact" if agrees else "differs"
            by_gdcm.append(f"{path}: {row['agreement']}; GDCM {verdict}")
            # GDCM cannot read one of them; its mean must then speak.
            if not near or (other is not None and not agrees):
                wrong.append(path)
        else:
            wrong.append(path)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{exact} images equal their reference, {len(by_twin)} their twin; lossy ones:\n"
        )
        sys.stdout.writelines(f"  {line}\n" for line in by_gdcm)
    assert wrong == []
    assert exact + len(by_gdcm) + len(by_twin) == 618 - len(NOT_AN_IMAGE) - len(CUT_BY_PADDING)
    assert exact >= 589


def test_what_is_no_image_is_refused_in_plain_words(corpus: Path) -> None:
    for path in sorted(NOT_AN_IMAGE | CUT_BY_PADDING):
        try:
            image = read_image(corpus / path)
        except UnreadableInstance:
            continue
        if image.frames is not None:
            with pytest.raises(UnsupportedPixels):
                stored_values(image)


def test_rgb_conversion_equals_the_reference_for_lossless_colours(corpus: Path) -> None:
    """rgb_sha256 is pydicom's YBR to RGB; ours may round one level otherwise, never more."""
    from apps.dicom.colors import ybr_full_to_rgb

    checked = equal = 0
    for row in references(corpus):
        if not row["rgb_sha256"] or row["agreement"].startswith("agree within"):
            continue
        image = read_image(corpus / row["path"])
        frame = decode(image.frame(), image.description)
        if frame.photometric_interpretation == "RGB":
            assert digest(frame.pixels) == row["rgb_sha256"]
            continue
        ours = ybr_full_to_rgb(frame.pixels)
        equal += digest(ours) == row["rgb_sha256"]
        exactly = frame.pixels.astype(np.float64) - [0, 128, 128]
        matrix = [[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]]
        theirs = np.clip(exactly @ np.transpose(matrix), 0, 255)
        assert np.abs(ours - theirs).max() <= 0.51
        checked += 1
    assert checked > 5
    assert equal >= checked - 1


LOSSLESS_TARGETS = {
    "1.2.840.10008.1.2.1": 32,
    "1.2.840.10008.1.2.5": 32,
    "1.2.840.10008.1.2.4.70": 16,
    "1.2.840.10008.1.2.4.80": 16,
    "1.2.840.10008.1.2.4.90": 16,
    "1.2.840.10008.1.2.4.202": 16,
}


@pytest.mark.parametrize("target", LOSSLESS_TARGETS)
def test_transcoding_the_corpus_without_loss_keeps_every_value(corpus: Path, target: str) -> None:
    done = 0
    for row in references(corpus)[::3]:
        if not row["shape"] or row["path"] in CUT_BY_PADDING:
            continue
        image = read_image(corpus / row["path"])
        description = image.description
        limit = LOSSLESS_TARGETS[target]
        fits = description.bits_allocated <= limit and description.sample_format == "integer"
        too_big = description.samples > 1_000_000
        if not fits or too_big or (description.bits_allocated == 1 and limit == 16):
            continue
        before = decode(image.frame(), description, bit_offset=image.bit_offset())
        packed = transcode_frame(image.frame(), description, target, bit_offset=image.bit_offset())
        changed = transcoded(description, target)
        after = decode(packed, changed)
        stated = changed.photometric_interpretation.removesuffix("_422")
        if stated[:3] == before.photometric_interpretation[:3]:
            np.testing.assert_array_equal(after.pixels, before.pixels, err_msg=row["path"])
            done += 1
        assert after.photometric_interpretation[:3] == stated[:3], row["path"]
    assert done > 100
