"""Specific Character Set: rules CHR-01 to CHR-06 (PS3.5 6.1.2, Annexes H, I, J, K)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.dicom.character_sets import character_set, decode, decode_flagged, encode
from apps.dicom.reader import InstanceReader
from apps.dicom.scanning import InstanceScan
from tests.standards.datasets import explicit, part10
from tests.standards.sources import Held, held

YAMADA = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
YAMADA_KATAKANA = (
    b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
    b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J"
)
HONG = (
    b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
)
ZHANG = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="

SAMPLES = [
    pytest.param(
        ("", "ISO 2022 IR 87"), YAMADA, "Yamada^Tarou=山田^太郎=やまだ^たろう", id="H.3.1"
    ),
    pytest.param(
        ("ISO 2022 IR 13", "ISO 2022 IR 87"),
        YAMADA_KATAKANA,
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        id="H.3.2",
    ),
    pytest.param(("", "ISO 2022 IR 149"), HONG, "Hong^Gildong=洪^吉洞=홍^길동", id="I.2"),
    pytest.param(
        ("ISO_IR 192",),
        "Wang^XiaoDong=王^小东=".encode(),
        "Wang^XiaoDong=王^小东=",
        id="J.1",
    ),
    pytest.param(
        ("GB18030",),
        b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=",
        "Wang^XiaoDong=王^小东=",
        id="J.2",
    ),
    pytest.param(("", "ISO 2022 IR 58"), ZHANG, "Zhang^XiaoDong=张^小东=", id="K.2"),
    pytest.param(("ISO_IR 100",), b"Buc^J\xe9r\xf4me", "Buc^Jérôme", id="latin"),
    pytest.param(("ISO_IR 144",), b"\xbb\xee\xda\xd5", "Люке", id="cyrillic"),
    pytest.param(("ISO_IR 166",), b"\xb9\xd2\xc2^\xaa", "นาย^ช", id="thai"),
]


@pytest.mark.parametrize(("terms", "raw", "text"), SAMPLES)
def test_CHR_04_samples_of_the_standard_decode_and_round_trip_byte_for_byte(terms, raw, text):
    assert decode(raw, terms, "PN") == text
    assert encode(text, terms, "PN") == raw


def scanned(path: Path) -> InstanceScan:
    return InstanceReader(held(path)).scan()


NAMES = {
    "SCSARAB": {"Alphabetic": "قباني^لنزار"},
    "SCSGREEK": {"Alphabetic": "Διονυσιος"},
    "SCSHBRW": {"Alphabetic": "שרון^דבורה"},
    "SCSRUSS": {"Alphabetic": "Люкceмбypг"},  # noqa: RUF001  as its maker wrote it
    "SCSX2": {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"},
    "chrFren.dcm": {"Alphabetic": "Buc^Jérôme"},
    "chrFrenMulti.dcm": {"Alphabetic": "Buc^Jérôme"},
    "chrGerm.dcm": {"Alphabetic": "Äneas^Rüdiger"},
    "chrH31.dcm": {
        "Alphabetic": "Yamada^Tarou",
        "Ideographic": "山田^太郎",
        "Phonetic": "やまだ^たろう",
    },
    "chrI2.dcm": {"Alphabetic": "Hong^Gildong", "Ideographic": "洪^吉洞", "Phonetic": "홍^길동"},
    "chrX1.dcm": {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小東"},
}


@pytest.mark.parametrize("name", NAMES)
def test_CHR_04_names_of_real_files(corpus, name):
    scan = scanned(corpus / "dicom" / "charset" / name)
    dicom_json = json.loads(b"".join(scan.json))
    assert dicom_json["00100010"]["Value"] == [NAMES[name]]
    assert scan.attributes["PatientName"].rstrip("=") == "=".join(NAMES[name].values())
    assert dicom_json["00080005"]["Value"] == ["ISO_IR 192"]
    assert not scan.warnings


@pytest.mark.parametrize("delimiter", ["\\", "^", "=", "\t", "\n", "\f", "\r"])
def test_CHR_01_code_state_resets_at_each_delimiter(delimiter):
    cyrillic, latin = b"\x1b-L\xbb", b"\xe9"
    raw = cyrillic + delimiter.encode() + latin
    assert decode(raw, ("ISO 2022 IR 100", "ISO 2022 IR 144"), "PN") == f"Л{delimiter}é"


def test_CHR_01_carets_and_equals_signs_are_letters_outside_of_names():
    raw = b"\x1b-L\xbb^\xbb=\xbb\\\xe9"
    assert decode(raw, ("ISO 2022 IR 100", "ISO 2022 IR 144"), "LO") == "Л^Л=Л\\é"


def test_CHR_01_a_backslash_is_a_letter_in_free_text():
    raw = b"\x1b-L\xbb\\\xbb\r\n\xe9"
    assert decode(raw, ("ISO 2022 IR 100", "ISO 2022 IR 144"), "LT") == "Л\\Л\r\né"


def test_CHR_01_bytes_of_kanji_that_look_like_delimiters_are_none():
    # In JIS X 0208 the second bytes 5C, 5E and 3D occur, like those of the delimiters.
    letters = b"\x30\x5c\x30\x5e\x30\x3d".decode("ascii")
    expected = ("\x1b$B" + letters + "\x1b(B").encode().decode("iso2022_jp")
    raw = b"\x1b$B" + letters.encode() + b"\x1b(B\\A"
    assert decode(raw, ("", "ISO 2022 IR 87"), "PN") == expected + "\\A"


def test_CHR_01_jis_x_0212_and_old_jis():
    raw = b"\x1b$(D" + "丂".encode("euc_jp")[1:].translate(bytes(i & 127 for i in range(256)))
    assert decode(raw + b"\x1b(B", ("", "ISO 2022 IR 159"), "LO") == "丂"
    assert decode(b"\x1b$@;3ED\x1b(J", ("ISO 2022 IR 13", "ISO 2022 IR 87"), "LO") == "山田"


@pytest.mark.parametrize("term", ["GB18030", "GBK"])
def test_CHR_02_second_byte_5c_is_no_backslash(term):
    codec = term.lower()
    letter = b"\x81\x5c".decode(codec)
    raw = b"A" + b"\x81\x5c" + b"\\B"
    assert decode(raw, (term,), "LO") == f"A{letter}\\B"
    dicom_json = _json_of(term, raw)
    assert dicom_json["00081030"]["Value"] == [f"A{letter}", "B"]


def _json_of(term: str, description: bytes) -> dict:
    dataset = explicit(
        (0x0008, 0x0005, "CS", term.encode()), (0x0008, 0x1030, "LO", description), identity=True
    )
    return json.loads(b"".join(InstanceReader(Held(part10(dataset))).scan().json))


def test_CHR_03_an_empty_first_value_is_the_default_repertoire():
    assert decode(b"Hong", ("", "ISO 2022 IR 149"), "PN") == "Hong"
    text, flagged = decode_flagged(b"\xe9", character_set(("",)), "LO")
    assert (text, flagged) == ("é", True)


def test_CHR_03_items_inherit_and_may_override(corpus):
    inner = explicit((0x0008, 0x0104, "LO", "Люке".encode("iso8859_5")))
    own = explicit((0x0008, 0x0005, "CS", b"ISO_IR 100"), (0x0008, 0x0104, "LO", b"\xe9"))
    dataset = explicit(
        (0x0008, 0x0005, "CS", b"ISO_IR 144"),
        (0x0008, 0x1032, "SQ", [inner, own, inner]),
        (0x0008, 0x103E, "LO", "Люке".encode("iso8859_5")),
        identity=True,
    )
    dicom_json = json.loads(b"".join(InstanceReader(Held(part10(dataset))).scan().json))
    items = dicom_json["00081032"]["Value"]
    assert [item["00080104"]["Value"][0] for item in items] == ["Люке", "é", "Люке"]
    assert dicom_json["0008103E"]["Value"] == ["Люке"]


def test_CHR_03_real_file_with_character_sets_of_items(corpus):
    source = held(corpus / "dicom" / "charset" / "chrSQEncoding.dcm")
    listed = list(InstanceReader(source).elements())
    names = [element.full_value for element in listed if element.tag == 0x00100010]
    assert names == ["ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"]


@pytest.mark.parametrize(
    ("terms", "raw", "text"),
    [
        (("ISO_IR 192",), b"J\xe9r\xf4me", "Jérôme"),
        ((), "Jérôme".encode(), "Jérôme"),
        ((), b"J\xe9r\xf4me", "Jérôme"),
        (("ISO_IR 100", "nonsense"), b"J\xe9", "Jé"),
        (("", "ISO 2022 IR 87"), b"\x1b$Z12", "\x1b$Z12"),
        (("ISO_IR 192",), b"\x1b$B;3ED\x1b(B", "山田"),
    ],
)
def test_CHR_05_wrong_character_set_never_yields_the_replacement_character(terms, raw, text):
    assert decode(raw, terms, "PN") == text


def test_CHR_05_wrong_character_set_is_flagged_and_the_source_has_its_own_fallback():
    dataset = explicit((0x0010, 0x0010, "PN", "Люке".encode("iso8859_5")), identity=True)
    scan = InstanceReader(Held(part10(dataset))).scan()
    assert any("Specific Character Set" in each for each in scan.warnings)
    assert "\ufffd" not in scan.attributes["PatientName"]
    known = InstanceReader(Held(part10(dataset)), fallback_character_set=("ISO_IR 144",)).scan()
    assert known.attributes["PatientName"] == "Люке"
    assert any("Specific Character Set" in each for each in known.warnings)


def test_CHR_05_unknown_terms_are_named_in_a_warning():
    assert character_set(("ISO_IR 100", "KLINGON")).warnings
    assert character_set(("ISO_IR100",)).warnings
    assert character_set(("ISO_IR100",)).decode(b"\xe9", "LO") == "é"
    assert not character_set(("ISO 2022 IR 13", "ISO 2022 IR 87")).warnings
    assert character_set(("GB18030", "ISO 2022 IR 87")).warnings


@given(st.binary(max_size=60), st.sampled_from([sample.values[0] for sample in SAMPLES]))
def test_CHR_05_no_bytes_break_decoding(raw, terms):
    assume(b"\xef\xbf\xbd" not in raw)  # U+FFFD itself, in UTF-8
    assume(b"\x841\xa47" not in raw)  # and in GB18030
    assert "\ufffd" not in decode(raw, terms, "PN")


def test_CHR_06_trailing_carets_stay_in_storage():
    dataset = explicit((0x0010, 0x0010, "PN", b"Doe^John^^^"), identity=True)
    scan = InstanceReader(Held(part10(dataset))).scan()
    assert scan.attributes["PatientName"] == "Doe^John^^^"
    assert b'"Alphabetic":"Doe^John^^^"' in b"".join(scan.json)


def test_CHR_06_three_groups_each_where_it_belongs():
    dataset = explicit((0x0010, 0x0010, "PN", b"=B=C\\A\\==\\"), identity=True)
    value = json.loads(b"".join(InstanceReader(Held(part10(dataset))).scan().json))["00100010"]
    assert value["Value"] == [
        {"Ideographic": "B", "Phonetic": "C"},
        {"Alphabetic": "A"},
        None,
        None,
    ]


ALPHABETS = [
    (("ISO 2022 IR 100", "ISO 2022 IR 144"), "abcéèüЛюк^=\\"),
    (("", "ISO 2022 IR 87", "ISO 2022 IR 159"), "abc山田太郎やまだ丂^=\\"),
    (("ISO 2022 IR 13", "ISO 2022 IR 87"), "abcﾔﾏﾀ山田太郎^=\\"),
    (("", "ISO 2022 IR 149", "ISO 2022 IR 58"), "abc홍길동张东^=\\"),
    (("GB18030",), "abc王小东ÿ€^=\\"),
    (("ISO_IR 192",), "abcéЛ山홍🙂^=\\"),
]


@given(st.data(), st.sampled_from(ALPHABETS), st.sampled_from(["PN", "LO", "LT"]))
def test_CHR_01_what_is_encoded_decodes_again(data, alphabet, vr):
    terms, letters = alphabet
    text = data.draw(st.text(alphabet=letters, max_size=24))
    assert decode(encode(text, terms, vr), terms, vr) == text


def test_CHR_01_every_delimiter_finds_the_initial_state_in_what_we_encode():
    raw = encode("山^田\\太=A", ("", "ISO 2022 IR 87"), "PN")
    for part in raw.replace(b"^", b"\\").replace(b"=", b"\\").split(b"\\"):
        assert part.count(b"\x1b$B") == part.count(b"\x1b(B")


def test_encoding_refuses_what_the_sets_do_not_have():
    with pytest.raises(UnicodeEncodeError):
        encode("山", ("ISO_IR 100",), "LO")
    with pytest.raises(UnicodeEncodeError):
        encode("山", ("ISO 2022 IR 100", "ISO 2022 IR 144"), "LO")
