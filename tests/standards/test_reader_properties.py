"""The reader against pydicom on data sets that hypothesis makes up."""

from __future__ import annotations

import io
import json
import math
import warnings
from decimal import Decimal
from typing import Any

import pydicom
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from apps.dicom.reader import InstanceReader
from apps.errors import UnreadableInstance
from tests.standards.datasets import explicit, part10
from tests.standards.sources import Held

LETTERS = st.characters(
    min_codepoint=0x20,
    max_codepoint=0x2FFF,
    exclude_characters="\\^=\x7f",
    exclude_categories=["Cs", "Cc", "Cn", "Zs", "Zl", "Zp"],
)
WORD = st.text(LETTERS, min_size=1, max_size=12)
NAME = st.lists(WORD, min_size=1, max_size=3).map("^".join)
CODE = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", min_size=1, max_size=16)
UID = st.lists(st.integers(0, 9999).map(str), min_size=2, max_size=8).map(".".join)
BYTES = st.binary(min_size=2, max_size=40).map(
    lambda raw: raw if len(raw) % 2 == 0 else raw + b"\0"
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "PatientName": NAME,
    "OtherPatientNames": st.lists(NAME, min_size=2, max_size=3),
    "PatientID": WORD,
    "Modality": CODE,
    "ImageType": st.lists(CODE, min_size=2, max_size=4),
    "PatientWeight": st.decimals(0, 500, places=2).map(str),
    "PixelSpacing": st.lists(st.decimals(0, 9, places=3).map(str), min_size=2, max_size=2),
    "InstanceNumber": st.integers(-(2**31), 2**31 - 1).map(str),
    "Rows": st.integers(0, 65535),
    "SimpleFrameList": st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5),
    "EventTimeOffset": st.floats(allow_nan=False, allow_infinity=False),
    "RecommendedDisplayFrameRateInFloat": st.floats(
        width=32, allow_nan=False, allow_infinity=False
    ),
    "FrameIncrementPointer": st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3),
    "StudyDescription": WORD,
    "ImageComments": st.text(LETTERS, max_size=60),
    "TextValue": st.text(LETTERS, max_size=60),
    "ReferencedSOPInstanceUID": UID,
    "EncapsulatedDocument": BYTES,
    "ICCProfile": BYTES,
    "SelectorSVValue": st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=3),
    "SelectorUVValue": st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3),
}
SEQUENCES = ["ReferencedImageSequence", "ProcedureCodeSequence", "RequestAttributesSequence"]


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 3) -> Dataset:
    ds = Dataset()
    for keyword in draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=8)):
        value = draw(VALUES[keyword])
        setattr(
            ds, keyword, value if draw(st.booleans()) else (None if draw(st.booleans()) else value)
        )
    if depth:
        for keyword in draw(st.lists(st.sampled_from(SEQUENCES), unique=True, max_size=2)):
            items = draw(st.lists(data_sets(depth - 1), max_size=3))
            setattr(ds, keyword, items)
            ds[keyword].is_undefined_length = draw(st.booleans())
            for item in items:
                item.is_undefined_length_sequence_item = draw(st.booleans())
    return ds


def written(ds: Dataset, syntax: str) -> bytes:
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "2.25.2", "2.25.3"
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(
            out,
            ds,
            implicit_vr=syntax == ImplicitVRLittleEndian,
            little_endian=syntax != ExplicitVRBigEndian,
            enforce_file_format=False,
        )
    return part10(out.getvalue(), syntax)


def simplified(dataset: dict[str, Any]) -> dict[str, Any]:
    out = {}
    for tag, element in dataset.items():
        values = element.get("Value", [])
        if element["vr"] == "SQ":
            values = [simplified(each) for each in values]
        if element["vr"] in ("DS", "IS"):
            values = [None if each is None else Decimal(str(each)) for each in values]
        if element["vr"] in ("FL", "FD"):
            values = [float(each) for each in values]
        values = [None if each == "" else each for each in values]
        out[tag] = (
            str(element["vr"]),
            values if values != [None] else [],
            element.get("InlineBinary") or None,
        )
    return out


@given(
    data_sets(),
    st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_json_of_any_data_set_equals_pydicoms(ds, syntax):
    content = written(ds, syntax)
    found = json.loads(b"".join(InstanceReader(Held(content)).scan().json))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pydicom.dcmread(io.BytesIO(content)).to_json_dict()
    for each in (found, expected):
        each.pop("00080005", None)
    assert simplified(found) == simplified(expected)


FINITE = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(FINITE, min_size=1, max_size=4))
def test_JSN_03_floats_of_any_kind_are_valid_json(values):
    import struct

    raw = struct.pack(f"<{len(values)}d", *values)
    content = part10(
        explicit((0x0008, 0x0060, "CS", b"OT"), (0x0018, 0x9073, "FD", raw), identity=True)
    )
    text = b"".join(InstanceReader(Held(content)).scan().json).decode()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(text, parse_constant=refuse)["00189073"]["Value"]
    for number, value in zip(found, values, strict=True):
        assert float(number) == value or (math.isnan(value) and number == "NaN")


@given(st.binary(max_size=300), st.integers(0, 400))
@settings(max_examples=300, deadline=None)
def test_any_bytes_scan_or_are_refused(noise, at):
    sound = part10(
        explicit(
            (0x0008, 0x1032, "SQ", [explicit((0x0008, 0x0104, "LO", b"Meaning"))]),
            (0x0010, 0x0010, "PN", b"A^B"),
            (0x7FE0, 0x0010, "OW", b"\0" * 64),
            identity=True,
        )
    )
    for content in (noise, sound[:132] + noise, sound[: 132 + at] + noise + sound[132 + at :]):
        try:
            reader = InstanceReader(Held(content))
            result = reader.scan()
            assert list(reader.elements())
        except UnreadableInstance as error:
            assert error.message.endswith(".")  # noqa: PT017  the message is the point
        else:
            assert list(json.loads(b"".join(result.json))) == sorted(
                json.loads(b"".join(result.json))
            )
