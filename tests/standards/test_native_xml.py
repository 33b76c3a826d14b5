"""Native DICOM Model XML (PS3.19 A.1): what is written, and that it is read back the same."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from apps.dicom.native_xml import parse_xml
from apps.dicomweb.xml_model import native_dicom_model

_DOCUMENT = {
    "00081030": {"vr": "LO", "Value": ["line\r\nline & <b>", None, "third"]},
    "00090010": {"vr": "LO", "Value": ['ACME "1"']},
    "00090011": {"vr": "LO", "Value": ["OTHER"]},
    "00091001": {"vr": "LO", "Value": ["x"]},
    "00091101": {
        "vr": "SQ",
        "Value": [
            {
                "00110020": {"vr": "LO", "Value": ["NESTED"]},
                "00112003": {"vr": "US", "Value": [1]},
            }
        ],
    },
    "00091301": {"vr": "UN", "InlineBinary": "AAA="},
    "00101001": {"vr": "PN", "Value": [{"Ideographic": "山^太郎"}]},
}


def test_JSN_02_what_is_written_as_xml_is_read_back_the_same():
    assert parse_xml(native_dicom_model(_DOCUMENT)) == _DOCUMENT


def test_JSN_01_private_elements_name_their_creator_and_no_block():
    """As DCMTK and dcm4che write them; without a known creator the tag stays as it is."""
    found = [
        (each.get("tag"), each.get("privateCreator"))
        for each in ET.fromstring(native_dicom_model(_DOCUMENT)).iter()
        if each.get("tag", "")[3:4] in set("13579BDF")
    ]
    assert found == [
        ("00090010", None),
        ("00090011", None),
        ("00090001", 'ACME "1"'),
        ("00090001", "OTHER"),
        ("00110020", None),
        ("00110003", "NESTED"),
        ("00091301", None),
    ]


def test_JSN_01_a_creator_without_a_block_gets_the_first_free_one():
    document = (
        b'<NativeDicomModel><DicomAttribute tag="00090010" vr="LO"><Value number="1">A</Value>'
        b'</DicomAttribute><DicomAttribute tag="00090005" vr="IS" privateCreator="B">'
        b'<Value number="1">7</Value></DicomAttribute></NativeDicomModel>'
    )
    assert parse_xml(document) == {
        "00090010": {"vr": "LO", "Value": ["A"]},
        "00090011": {"vr": "LO", "Value": ["B"]},
        "00091105": {"vr": "IS", "Value": ["7"]},
    }
