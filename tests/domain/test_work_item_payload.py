"""Bodies of UPS-RS: whatever JSON holds, it is refused in words or is a data set for DIMSE too."""

from __future__ import annotations

import json
from contextlib import suppress
from io import BytesIO
from typing import Any

import orjson
from django.http import HttpRequest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary

from apps.dicom import ups
from apps.dicom.data_sets import read_data_set, write_data_set
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from apps.dicomweb.ups_rs.payload import read_document
from apps.errors import InvalidRequest
from tests.domain.test_work_items import UID
from tests.protocol.test_ups_rs import work

TAGS = [*sorted(work()), ups.PROGRESS, ups.PERFORMED, ups.STATIONS, "00081195", "00091001", "zz"]
VRS = ["LO", "PN", "SQ", "DT", "CS", "UI", "US", "IS", "DS", "FD", "AT", "OB", "UN", "UR", "QQ", ""]
NOW = "20240705100000.000000+0000"

plain = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=12)
)
values = st.recursive(
    st.one_of(plain, st.dictionaries(st.sampled_from(["Alphabetic", "x"]), plain, max_size=2)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(TAGS), inner, max_size=2)
    ),
    max_leaves=6,
)
elements = st.one_of(
    values,
    st.fixed_dictionaries(
        {"vr": st.one_of(st.sampled_from(VRS), plain)},
        optional={
            "Value": st.one_of(st.lists(values, max_size=3), values),
            "InlineBinary": plain,
            "BulkDataURI": plain,
        },
    ),
)
known = st.sampled_from([f"{tag:08X}" for tag in DicomDictionary if not tag & 1 << 16])
data_sets = st.dictionaries(st.one_of(st.sampled_from(TAGS), known), elements, max_size=4)


def sent(data_set: dict[str, Any]) -> HttpRequest:
    """A request with that body, as the web server hands it on."""
    body = json.dumps(data_set).encode()
    request = HttpRequest()
    request.META = {
        "CONTENT_TYPE": "application/dicom+json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
    }
    return request


def refused(failure: InvalidRequest | ups.UpsFault) -> bool:
    """In words, as far as one can tell."""
    return " " in failure.message


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data_sets)
def test_any_json_is_refused_in_words_or_is_a_data_set(data_set: dict[str, Any]) -> None:
    try:
        document = read_document(sent(data_set))
    except InvalidRequest as failure:
        if not refused(failure):
            raise
        return
    raw = write_data_set(document, EXPLICIT_VR_LITTLE_ENDIAN)
    assert read_data_set(raw, EXPLICIT_VR_LITTLE_ENDIAN).document.keys() == document.keys()
    for make in (
        lambda: ups.created(UID, {**work(), **document}, NOW),
        lambda: ups.modified(work(), document, NOW),
    ):
        with suppress(InvalidRequest, ups.UpsFault):
            orjson.dumps(make())
