"""TABLE: which images the photometric guard looks at, and what it may expect of them.

Projection radiographs are shown with air black wherever they are read (CR, DX, MG, IO, and PX by
DX). Angiography and fluoroscopy have no such convention: contrast is shown black or white by
taste and by subtraction, and shutters are black in both. They are only compared with their own
source's earlier images. Objects For Processing are not meant to be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Q

_R: Final = "1.2.840.10008.5.1.4.1.1."


@dataclass(frozen=True, slots=True)
class Kind:
    """How images of a SOP Class are judged: by air, and whether they are mammograms."""

    by_air: bool = True
    mammogram: bool = False


KINDS: Final = {
    _R + "1": Kind(),  # Computed Radiography
    _R + "1.1": Kind(),  # Digital X-Ray, For Presentation; panoramic images too
    _R + "1.2": Kind(mammogram=True),  # Digital Mammography X-Ray, For Presentation
    _R + "1.3": Kind(),  # Digital Intra-Oral X-Ray, For Presentation
    _R + "13.1.4": Kind(mammogram=True),  # Breast Projection X-Ray, For Presentation
    _R + "12.1": Kind(by_air=False),  # X-Ray Angiographic
    _R + "12.1.1": Kind(by_air=False),  # Enhanced XA
    _R + "12.2": Kind(by_air=False),  # X-Ray Radiofluoroscopic
    _R + "12.2.1": Kind(by_air=False),  # Enhanced XRF
    _R + "12.3": Kind(by_air=False),  # X-Ray Angiographic Bi-Plane, retired
}
_CAPTURES: Final = (_R + "7", _R + "7.2", _R + "7.3")
"""Secondary Captures in grey: digitised films and exports of radiography stations."""

_CAPTURED: Final = {
    "CR": Kind(),
    "DX": Kind(),
    "RG": Kind(),
    "IO": Kind(),
    "PX": Kind(),
    "MG": Kind(mammogram=True),
    "XA": Kind(by_air=False),
    "RF": Kind(by_air=False),
}
GREY: Final = ("MONOCHROME1", "MONOCHROME2")


def kind_of(sop_class_uid: str, modality: str) -> Kind | None:
    """How an image is judged; None for what the guard does not look at."""
    if sop_class_uid in _CAPTURES:
        return _CAPTURED.get(modality)
    found = KINDS.get(sop_class_uid)
    if found is not None and modality in {"XA", "RF"}:
        return Kind(by_air=False)
    return found


CANDIDATES: Final = Q(photometric_interpretation__in=GREY) & (
    Q(sop_class_uid__in=KINDS)
    | Q(sop_class_uid__in=_CAPTURES, series__modality__in=tuple(_CAPTURED))
)
"""The same as a condition on instances."""
