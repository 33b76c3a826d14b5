"""Sequence keys and other keys without a column (PS3.4 C.2.2.2.6)."""

from __future__ import annotations

import pytest

from apps.dicom.query import Key
from apps.dicom.stored_keys import answer, key_tree, text_of
from apps.errors import InvalidRequest

REQUEST, STEP_ID, PROCEDURE_ID = 0x00400275, 0x00400009, 0x00401001
CODES, CODE, MEANING, SCHEME = 0x00081032, 0x00080100, 0x00080104, 0x00080102


def _item(**values: str) -> dict[str, object]:
    return {tag[1:]: {"vr": "SH", "Value": [value]} for tag, value in values.items()}


DOCUMENT = {
    "00400275": {
        "vr": "SQ",
        "Value": [
            _item(x00400009="S1", x00401001="P1") | {"00400007": {"vr": "LO", "Value": ["Head"]}},
            _item(x00400009="S2", x00401001="P2"),
            {},
        ],
    },
    "00081032": {"vr": "SQ", "Value": [_item(x00080100="A", x00080102="L")]},
    "00180050": {"vr": "DS", "Value": [2.50]},
    "00080050": {"vr": "SH", "Value": [None, "A1"]},
    "00400007": {"vr": "LO"},
    "00404005": {"vr": "DT", "Value": ["20240105120000+0100"]},
    "00081070": {"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}]},
}


def ask(*keys: Key, zone: str = "") -> object:
    return answer(DOCUMENT, key_tree(keys, zone), zone)


def test_FND_13_all_item_keys_match_within_the_same_item() -> None:
    assert ask(Key((REQUEST, STEP_ID), ("S1",)), Key((REQUEST, PROCEDURE_ID), ("P2",))) is None
    found = ask(Key((REQUEST, STEP_ID), ("S*",)), Key((REQUEST, PROCEDURE_ID), ("P2",)))
    assert found == {"00400275": {"vr": "SQ", "Value": [_item(x00400009="S2", x00401001="P2")]}}


def test_FND_13_an_answer_holds_matching_items_with_the_keys_asked_for() -> None:
    found = ask(Key((REQUEST, STEP_ID), ("S1",)))
    assert found == {"00400275": {"vr": "SQ", "Value": [_item(x00400009="S1")]}}


def test_FND_13_an_empty_item_returns_the_whole_sequence() -> None:
    assert ask(Key((REQUEST,), ())) == {"00400275": DOCUMENT["00400275"]}


def test_FND_13_universal_item_keys_narrow_nothing() -> None:
    tree = key_tree((Key((REQUEST, STEP_ID), ("",)),))
    assert not any(node.narrows for node in tree.values())
    assert answer({}, tree) == {"00400275": {"vr": "SQ"}}
    found = answer(DOCUMENT, tree)
    assert found is not None
    assert len(found["00400275"]["Value"]) == 3
    assert found["00400275"]["Value"][2] == {"00400009": {"vr": "SH"}}


def test_a_key_the_object_does_not_have_matches_only_when_universal() -> None:
    assert answer({}, key_tree((Key((REQUEST, STEP_ID), ("S1",)),))) is None
    assert answer({}, key_tree((Key((0x00180050,), ("1",)),))) is None
    assert answer({}, key_tree((Key((0x00180050,), ()),))) == {"00180050": {"vr": "DS"}}


@pytest.mark.parametrize(
    ("tag", "value", "found"),
    [
        (0x00180050, "02.5", True),
        (0x00180050, "2.51", False),
        (0x00081070, "=山*", True),
        (0x00081070, "YAMADA*", True),
        (0x00081070, "tarou*", False),
        (0x00400007, "x", False),
        (0x00404005, "20240105110000", True),
        (0x00404005, "20240105", True),
        (0x00404005, "20240106-", False),
    ],
)
def test_other_keys_match_by_their_vr(tag: int, value: str, found: bool) -> None:
    assert (ask(Key((tag,), (value,))) is not None) == found


def test_FND_11_a_moment_without_an_offset_is_in_the_zone_of_the_query() -> None:
    assert ask(Key((0x00404005,), ("20240105120000",)), zone="+0100") is not None
    assert ask(Key((0x00404005,), ("20240105120000",)), zone="+0000") is None


def test_keys_that_mean_nothing_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        key_tree((Key((0x00180050,), ("thick",)),))


def test_text_of_json_values() -> None:
    assert text_of(DOCUMENT["00080050"], "SH") == "\\A1"
    assert text_of({"vr": "OB", "BulkDataURI": "x"}, "OB") == ""
    assert text_of({"vr": "IS", "Value": [7, 8]}, "IS") == "7\\8"
