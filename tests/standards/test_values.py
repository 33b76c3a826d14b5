"""Normal forms, folded names, zones (PS3.5 6.2)."""
# ruff: noqa: RUF001 - names are written in many scripts

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.dicom.values import (
    fold_name,
    fold_text,
    is_date,
    is_time,
    normalise,
    offset_minutes,
    search_tokens,
    search_words,
    shift,
    utc_moment,
)

VRS = ["AE", "AS", "CS", "DA", "DS", "DT", "FD", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC",
       "UI", "UR", "US", "UT"]  # fmt: skip


@pytest.mark.parametrize(
    ("vr", "text", "expected"),
    [
        ("DA", "2024.01.05 ", "20240105"),
        ("DA", "20240105", "20240105"),
        ("DA", "yesterday", "yesterday"),
        ("TM", "2230", "223000"),
        ("TM", "22", "220000"),
        ("TM", "10:11:12.500", "101112.5"),
        ("TM", "101112.000000 ", "101112"),
        ("DT", "20240105101112.500+0100", "20240105101112.5+0100"),
        ("IS", " +007", "7"),
        ("IS", "-0", "0"),
        ("IS", "1.5", "1.5"),
        ("DS", "070.50", "70.5"),
        ("DS", "1e3", "1000"),
        ("DS", "-0.0", "0"),
        ("DS", "1e999999", "1e999999"),
        ("CS", " CT \\MR ", "CT\\MR"),
        ("UI", "1.2.3\0", "1.2.3"),
        ("LT", "  first\\second  ", "  first\\second"),
        ("PN", "Doe^John^^^ ", "Doe^John^^^"),
        ("LO", "a\0b", "ab"),
    ],
)
def test_normal_forms(vr: str, text: str, expected: str) -> None:
    assert normalise(vr, text) == expected


@given(st.sampled_from(VRS), st.text(alphabet="0123456789.+-: \\^=aZé*\0", max_size=24))
def test_a_normal_form_is_its_own_normal_form(vr: str, text: str) -> None:
    once = normalise(vr, text)
    assert normalise(vr, once) == once


@given(st.text(max_size=30))
def test_folding_twice_is_folding_once(text: str) -> None:
    once = fold_text(text)
    assert fold_text(once) == once


@given(st.text(max_size=30))
def test_a_folded_name_folds_to_itself_and_keeps_its_delimiters_apart(text: str) -> None:
    groups = fold_name(text)
    values = text.split("\\")
    assert all("=" not in group for group in groups)
    assert all(len(group.split("\\")) in {1, len(values)} for group in groups)
    assert fold_name(groups[0])[0] == groups[0]


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", ("yamada^tarou", "山田^太郎", "やまだ^たろう")),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", ("ヤマダ^タロウ", "山田^太郎", "")),
        ("Hong^Gildong=洪^吉洞=홍^길동", ("hong^gildong", "洪^吉洞", "홍^길동")),
        ("Wang^XiaoDong=王^小东", ("wang^xiaodong", "王^小东", "")),
        ("MÜLLER ^ Jörg^^^", ("muller^jorg", "", "")),
        ("Muller\u0308^Jo\u0308rg", ("muller^jorg", "", "")),
        ("ŁÓDŹ^Øre\\Æsir", ("lodz^ore\\aesir", "", "")),
        ("İnci^Irmak", ("inci^irmak", "", "")),
        ("Люксембург", ("люксембург", "", "")),
        ("Διονυσιος^ΔΙΟΝΥΣΙΟΣ", ("διονυσιοσ^διονυσιοσ", "", "")),
        ("قباني^لنزار", ("قباني^لنزار", "", "")),
        ("D\u2019Arc^Jeanne", ("d'arc^jeanne", "", "")),
        ("", ("", "", "")),
    ],
)
def test_CHR_04_names_fold_by_component_group(name: str, groups: tuple[str, str, str]) -> None:
    assert fold_name(name) == groups


def test_CHR_06_trailing_carets_are_trimmed_for_matching_not_in_storage() -> None:
    assert fold_name("Doe^John^^^") == fold_name("Doe^John")
    assert normalise("PN", "Doe^John^^^") == "Doe^John^^^"
    assert fold_name("^John^^^")[0] == "^john"


def test_voiced_kana_stay_other_letters() -> None:
    assert fold_name("か")[0] != fold_name("が")[0]
    assert fold_name("ｶﾞ")[0] == fold_name("ガ")[0]


def test_words_of_names_identifiers_and_descriptions_are_found_by_their_beginnings() -> None:
    tokens = search_tokens(
        names=["Müller-Lüdenscheid^Hans Peter=山田^太郎"],
        identifiers=["PID-0001", "000123"],
        descriptions=["CT Thorax/Abd"],
    )
    for typed in ("mul", "lüd", "müller-l", "peter", "山田太", "太", "pid-0", "123", "thor", "abd"):
        words = search_words(typed)
        assert words
        assert all(any(token.startswith(word) for token in tokens) for word in words), typed
    assert "" not in tokens
    assert search_words("  Hans   MÜLLER,hans ") == ("hans", "muller")
    assert search_tokens() == frozenset()


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("+0100", 60), ("-0330", -210), ("+1400", 840), ("-1200", -720), ("+1401", None),
     ("0100", None), ("+0160", None), ("", None), ("+٠١٠٠", None)],
)  # fmt: skip
def test_offsets(text: str, minutes: int | None) -> None:
    assert offset_minutes(text) == minutes


_MOMENTS = st.datetimes(min_value=datetime(1900, 1, 3), max_value=datetime(2100, 1, 1))


@given(_MOMENTS, st.integers(-26 * 60, 26 * 60))
def test_shifting_is_adding_minutes(moment: datetime, minutes: int) -> None:
    moved = moment + timedelta(minutes=minutes)
    assert shift(f"{moment:%Y%m%d}", f"{moment:%H%M%S}", minutes) == (
        f"{moved:%Y%m%d}",
        f"{moved:%H%M%S}",
    )
    assert shift("", f"{moment:%H%M%S}", minutes) == ("", f"{moved:%H%M%S}")


def test_what_is_no_moment_is_not_shifted() -> None:
    assert shift("20240105", "", 60) == ("20240105", "")
    assert shift("20249905", "101010", 60) == ("20249905", "101010")
    assert shift("20230229", "235960", 60) == ("20230229", "005960")
    assert shift("20240105", "235960.5", 60) == ("20240106", "005960.5")


@pytest.mark.parametrize(
    ("text", "zone", "last", "moment"),
    [
        ("20240105101112+0100", "", False, "20240105091112.000000"),
        ("20240105001112+0100", "", False, "20240104231112.000000"),
        ("20240105101112", "-0500", False, "20240105151112.000000"),
        ("20240105", "", False, "20240105000000.000000"),
        ("20240105", "", True, "20240105235959.999999"),
        ("202402", "", True, "20240229235959.999999"),
        ("2024", "", True, "20241231235959.999999"),
        ("2024010510", "", True, "20240105100000.000000"),
        ("20240105101112.25", "", True, "20240105101112.250000"),
        ("20241305", "", True, ""),
        ("202413", "", True, ""),
        ("2024010524", "", False, ""),
        ("noon", "", False, ""),
    ],
)
def test_moments_compare_in_utc(text: str, zone: str, last: bool, moment: str) -> None:
    assert utc_moment(text, zone, last=last) == moment


def test_dates_and_times_have_a_grammar() -> None:
    assert is_date("20240229")
    assert not is_date("20240230")
    assert not is_date("20240029")
    assert not is_date("２０２４０１０５")
    assert is_time("235960.999999")
    assert not is_time("240000")
    assert not is_time("2230")
