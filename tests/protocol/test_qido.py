"""QIDO-RS over real HTTP."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
import requests
from pydicom import Dataset
from pydicom.uid import generate_uid as new_uid

from tests.builders import ct_slice
from tests.protocol.dicomweb_archive import Archive, header, parts_of

JSON = "application/dicom+json"
ADDITIONAL = re.compile(r"There are (\d+) additional results that can be requested")


@pytest.fixture(scope="module")
def series(archive: Archive):
    """One study of two series, three and two slices; its patient is nobody else's."""
    study, first, second = new_uid(), new_uid(), new_uid()
    common = {"study": study, "PatientID": new_uid()[-16:], "PatientName": "Grün^Änne"}
    slices = [ct_slice(series=first, number=n, **common) for n in (1, 2, 3)]
    slices += [
        ct_slice(series=second, number=n, SeriesNumber=2, Modality="MR", **common) for n in (1, 2)
    ]
    assert archive.store(*slices).status_code == 200
    return slices


def values(rows: list[dict], tag: str) -> list:
    return [row[tag].get("Value", [None])[0] for row in rows]


def test_QID_01_six_resources(archive: Archive, series):
    study, first = series[0].StudyInstanceUID, series[0].SeriesInstanceUID
    assert len(archive.json(f"/studies?StudyInstanceUID={study}")) == 1
    assert len(archive.json(f"/studies/{study}/series")) == 2
    assert len(archive.json(f"/studies/{study}/instances")) == 5
    assert len(archive.json(f"/studies/{study}/series/{first}/instances")) == 3
    assert len(archive.json(f"/series?StudyInstanceUID={study}")) == 2
    assert len(archive.json(f"/instances?SeriesInstanceUID={first}")) == 3


@pytest.mark.parametrize("query", ["PatientID=nobody-has-this", "limit=5&offset=100000"])
def test_QID_02_nothing_found_is_204_without_a_body(archive: Archive, series, query):
    response = archive.get(f"/studies?{query}", JSON)
    assert (response.status_code, response.content) == (204, b"")


def test_QID_03_the_true_number_that_remains(archive: Archive, series):
    path = f"/studies/{series[0].StudyInstanceUID}/instances"
    response = archive.get(path + "?limit=2&offset=1", JSON)
    assert ADDITIONAL.search(response.headers["Warning"])[1] == "2"
    assert response.headers["Warning"].startswith("299 ")
    assert "Warning" not in archive.get(path + "?limit=2&offset=3", JSON).headers
    assert "Warning" not in archive.get(path, JSON).headers


def test_QID_04_paging_without_gaps_or_repeats(archive: Archive, series):
    path = f"/studies/{series[0].StudyInstanceUID}/instances"
    whole = values(archive.json(path), "00080018")
    paged = [
        uid
        for offset in range(0, 5, 2)
        for uid in values(archive.json(f"{path}?limit=2&offset={offset}"), "00080018")
    ]
    assert paged == whole == values(archive.json(path), "00080018")
    numbers = [
        (row["0020000E"]["Value"][0], row["00200013"]["Value"][0]) for row in archive.json(path)
    ]
    # Series after series, each in the order of its instance numbers.
    assert [number for _, number in numbers] in ([1, 2, 3, 1, 2], [1, 2, 1, 2, 3])


def test_what_has_no_value_is_found_by_two_quotation_marks_when_agreed(archive: Archive):
    patient = new_uid()[-16:]
    bare = ct_slice(PatientID=patient, AccessionNumber="", SeriesDescription="")
    full = ct_slice(PatientID=patient, AccessionNumber="A1", SeriesDescription="Lung")
    full.RequestAttributesSequence = [Dataset()]
    full.RequestAttributesSequence[0].ScheduledProcedureStepID = "S1"
    assert archive.store(bare, full).status_code == 200
    agreed = "emptyvaluematching=true&AccessionNumber=%22%22"
    found = archive.json(f"/studies?PatientID={patient}&{agreed}")
    assert values(found, "0020000D") == [bare.StudyInstanceUID]
    assert archive.get(f"/studies?PatientID={patient}&AccessionNumber=%22%22").status_code == 204
    below = "emptyvaluematching=true&SeriesDescription=%22%22"
    found = archive.json(f"/series?PatientID={patient}&{below}")
    assert values(found, "0020000E") == [bare.SeriesInstanceUID]
    stored = "emptyvaluematching=true&RequestAttributesSequence.RequestedProcedureID=%22%22"
    found = archive.json(f"/series?PatientID={patient}&{stored}")
    assert values(found, "0020000E") == [full.SeriesInstanceUID]


def test_all_of_several_values_must_be_there_when_agreed(archive: Archive):
    study, patient = new_uid(), new_uid()[-16:]
    both = [ct_slice(study=study, PatientID=patient, Modality=each) for each in ("CT", "MR")]
    alone = ct_slice(PatientID=patient)
    assert archive.store(*both, alone).status_code == 200
    path = f"/studies?PatientID={patient}&ModalitiesInStudy=CT%5CMR"
    assert len(archive.json(path)) == 2
    assert values(archive.json(f"{path}&multiplevaluematching=true"), "0020000D") == [study]


def test_QID_05_names_are_found_by_their_sound(archive: Archive):
    ds = ct_slice(PatientName="Wojciechowski^Grzegorz", ReferringPhysicianName="Quixote^Ana")
    ds.NameOfPhysiciansReadingStudy = "Featherstonehaugh^Bea"
    assert archive.store(ds).status_code == 200
    for key in (
        "PatientName=Vojcechovski",
        "PatientName=grzegorz%20wojciechowsky",
        "00100010=*Wojciechovski*",
        "ReferringPhysicianName=Quixotte",
        "NameOfPhysiciansReadingStudy=Fetherstonhaugh",
    ):
        (found,) = archive.json(f"/studies?{key}&fuzzymatching=true")
        assert found["0020000D"]["Value"] == [ds.StudyInstanceUID]
        assert archive.get(f"/studies?{key}", JSON).status_code == 204
        assert archive.get(f"/studies?{key}&fuzzymatching=false", JSON).status_code == 204
    (series,) = archive.json("/series?PatientName=Vojcechovski&fuzzymatching=true")
    assert series["0020000E"]["Value"] == [ds.SeriesInstanceUID]


def test_QID_05_what_cannot_be_found_by_sound_is_admitted_in_the_standards_words(
    archive: Archive, series
):
    response = archive.get("/series?OperatorsName=*&fuzzymatching=true&limit=1", JSON)
    assert "Only literal matching has been performed." in response.headers["Warning"]
    response = archive.get("/studies?fuzzymatching=true&limit=1", JSON)
    assert "fuzzy" not in response.headers.get("Warning", "")


@pytest.mark.parametrize("field", ["PatientAge", "00101010"])
def test_QID_06_includefield_by_keyword_and_tag(archive: Archive, series, field):
    path = f"/studies?StudyInstanceUID={series[0].StudyInstanceUID}"
    assert "00101010" not in archive.json(path)[0]
    assert archive.json(f"{path}&includefield={field}")[0]["00101010"] == {"vr": "AS"}


def test_QID_06_all_gives_everything_we_index(archive: Archive, series):
    path = f"/studies?StudyInstanceUID={series[0].StudyInstanceUID}"
    assert len(archive.json(path + "&includefield=all")[0]) > len(archive.json(path)[0])


def test_QID_07_a_list_of_uids(archive: Archive, series):
    first, second = series[0].SOPInstanceUID, series[1].SOPInstanceUID
    for separator in (",", "%2C", "%5C"):
        rows = archive.json(f"/instances?SOPInstanceUID={first}{separator}{second}")
        assert set(values(rows, "00080018")) == {first, second}


def test_QID_09_date_and_time_make_one_interval(archive: Archive):
    study = new_uid()
    archive.store(ct_slice(study=study, StudyDate="20240706", StudyTime="090000"))
    path = f"/studies?StudyInstanceUID={study}&StudyDate=20240705-20240707"
    assert archive.json(f"{path}&StudyTime=100000-180000")
    early = path.replace("20240705", "20240706") + "&StudyTime=100000-180000"
    assert archive.get(early, JSON).status_code == 204


def test_QID_10_dates_in_the_zone_of_the_query(archive: Archive):
    study = new_uid()
    archive.store(
        ct_slice(
            study=study, StudyDate="20240101", StudyTime="233000", TimezoneOffsetFromUTC="+0000"
        )
    )
    path = f"/studies?StudyInstanceUID={study}"
    assert archive.get(f"{path}&StudyDate=20240102", JSON).status_code == 204
    row = archive.json(f"{path}&StudyDate=20240102&TimezoneOffsetFromUTC=%2B0100")[0]
    assert row["00080020"]["Value"] == ["20240102"]
    assert row["00080030"]["Value"] == ["003000"]


def test_QID_11_names_in_percent_encoded_utf_8(archive: Archive, series):
    patient = f"PatientID={series[0].PatientID}"
    rows = archive.json(f"/studies?{patient}&PatientName=GR%C3%9CN*")
    assert values(rows, "00100010") == [{"Alphabetic": "Grün^Änne"}]
    assert archive.get(f"/studies?{patient}&PatientName=Gr%25n*", JSON).status_code == 204


def test_QID_12_results_have_retrieve_url_and_empty_attributes(archive: Archive, series):
    study = series[0].StudyInstanceUID
    row = archive.json(f"/studies?StudyInstanceUID={study}")[0]
    assert row["00081190"]["Value"] == [f"{archive.root}/studies/{study}"]
    assert row["00080090"] == {"vr": "PN"}
    assert row["00080005"]["Value"] == ["ISO_IR 192"]
    assert row["00080056"]["Value"] == ["ONLINE"]
    assert list(row) == sorted(row)
    instance = archive.json(f"/studies/{study}/instances")[0]
    url = instance["00081190"]["Value"][0]
    assert requests.get(url, auth=archive.stack.auth, timeout=10).status_code == 200


def test_QID_12_a_level_in_the_path_is_not_repeated(archive: Archive, series):
    study = series[0].StudyInstanceUID
    inside = archive.json(f"/studies/{study}/series")[0]
    assert "00100010" not in inside
    assert inside["0020000D"]["Value"] == [study]
    assert "00100010" in archive.json(f"/series?StudyInstanceUID={study}")[0]
    asked = archive.json(f"/studies/{study}/series?includefield=PatientName")[0]
    assert asked["00100010"]["Value"] == [{"Alphabetic": "Grün^Änne"}]


def test_QID_13_modalities_match_any_series_and_counts_are_there(archive: Archive, series):
    patient = f"PatientID={series[0].PatientID}"
    for modality in ("CT", "MR"):
        row = archive.json(f"/studies?{patient}&ModalitiesInStudy={modality}")[0]
        assert sorted(row["00080061"]["Value"]) == ["CT", "MR"]
        assert row["00201206"]["Value"] == [2]
        assert row["00201208"]["Value"] == [5]
    assert archive.get(f"/studies?{patient}&ModalitiesInStudy=US", JSON).status_code == 204
    assert archive.json(f"/studies/{row['0020000D']['Value'][0]}/series")[0]["00201209"]["Value"]


def test_QID_14_xml_has_a_part_for_each_result(archive: Archive, series):
    response = archive.get(
        f"/studies/{series[0].StudyInstanceUID}/series",
        'multipart/related; type="application/dicom+xml"',
    )
    assert response.headers["Content-Type"].startswith(
        'multipart/related; type="application/dicom+xml"; boundary='
    )
    parts = parts_of(response)
    assert len(parts) == 2
    for head, body in parts:
        assert header(head, "Content-Type") == "application/dicom+xml"
        root = ET.fromstring(body)
        tags = {each.get("tag"): each for each in root}
        modality = tags["00080060"][0]
        assert tags["00080060"].get("keyword") == "Modality"
        assert modality.text in {"CT", "MR"}
        assert modality.get("number") == "1"


def test_UID_02_what_breaks_the_rules_for_UIDs_is_found_as_it_is(archive: Archive):
    study, series = "1.2." + "7" * 66, "Study-1.03"
    assert archive.store(ct_slice(study=study, series=series)).status_code in {200, 202}
    assert archive.json(f"/studies?StudyInstanceUID={study}")
    assert archive.json(f"/studies/{study}/series?SeriesInstanceUID={series}")
    assert archive.json(f"/studies/{study}/series/{series}/instances")


@pytest.mark.parametrize("written", ["10", "1000", "100000", "100000.000", "100000.000000"])
def test_QID_09_a_time_is_found_however_it_was_written(archive: Archive, written):
    ds = ct_slice(StudyTime=written, PatientID=new_uid()[-16:])
    assert archive.store(ds).status_code == 200
    for asked in (written, "10", "1000-1000", "100000.00", "-100000", "095959.9-1000", "10-"):
        path = f"/studies?PatientID={ds.PatientID}&StudyTime={asked}"
        assert values(archive.json(path), "00080030") == [written], asked
    for asked in ("100000.000001-", "-095959.999999", "1001"):
        path = f"/studies?PatientID={ds.PatientID}&StudyTime={asked}"
        assert archive.get(path, JSON).status_code == 204, asked


def test_QID_09_dates_and_weights_of_other_writing_are_found(archive: Archive):
    ds = ct_slice(StudyDate="1997.04.24", StudyTime="11:20:00", PatientWeight="70.50")
    ds.PatientID = new_uid()[-16:]
    assert archive.store(ds).status_code in {200, 202}
    asked = "StudyDate=19970424&StudyTime=112000&PatientWeight=70.5"
    assert archive.json(f"/studies?PatientID={ds.PatientID}&{asked}")


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/studies?StudyDate=yesterday", "00080020"),
        ("/studies?StudyInstanceUID=1.2/3", "StudyInstanceUID"),
        ("/studies?0020000D=no-uid", "StudyInstanceUID"),
        ("/studies/no-uid/series", "StudyInstanceUID"),
        ("/studies?SeriesDescription=x&SOPInstanceUID=1.2", "SOPInstanceUID"),
        ("/studies?NoSuchAttribute=1", "NoSuchAttribute"),
        ("/studies?limit=many", "limit"),
        ("/studies?PatientID=1&00100020=2", "00100020"),
        ("/studies/1.2/series?StudyInstanceUID=1.3", "StudyInstanceUID"),
        ("/studies?60003000=x", "60003000"),
        ("/studies?00080000=x", "00080000"),
        ("/studies?PatientName.=x", "PatientName."),
    ],
)
def test_QID_15_what_is_wrong_is_400_and_named(archive: Archive, path, named):
    response = archive.get(path, JSON)
    assert response.status_code == 400, response.text
    assert named in response.json()["offending"]


@pytest.mark.parametrize(
    "path",
    [
        "/studies?PatientName=%00",
        "/studies?PatientName=" + "x" * 5000,
        "/studies?limit=99999999999999999999999",
        "/studies?InstanceNumber=99999999999999999999999",
        "/instances?InstanceNumber=99999999999999999999999",
        "/instances?InstanceNumber=x",
        "/studies?StudyTime=99",
        "/studies?%FF=1",
        "/studies?=1",
        "/studies?&&&",
        "/studies?00100010.=1",
        "/studies?StudyDate=20240101-20230101",
        "/studies?StudyDate=--",
        "/studies?ModalitiesInStudy=,,",
        "/studies/%00/series",
        "/studies?00091001=x",
        "/instances?00280010=512%5C512",
        "/instances?PixelData=1",
        "/instances?ReferencedSeriesSequence.SeriesInstanceUID=1.2",
        "/studies?includefield=,",
    ],
)
def test_bad_input_is_never_a_500(archive: Archive, path):
    response = archive.get(path, JSON)
    assert response.status_code in {200, 204, 400, 404, 413}, (response.status_code, response.text)


def test_QID_16_unknown_entries_in_accept(archive: Archive, series):
    answer = archive.get("/studies?limit=1", 'x/y, multipart/related; type="a/b", ' + JSON)
    assert answer.headers["Content-Type"] == JSON
    assert archive.get("/studies?limit=1", "text/csv").status_code == 406


def test_answers_are_packed_for_those_who_take_gzip(archive: Archive, series):
    path = f"/studies/{series[0].StudyInstanceUID}/instances"
    packed = archive.get(path, JSON, headers={"Accept-Encoding": "gzip"})
    plain = archive.get(path, JSON, headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.json() == plain.json()
    assert "Accept-Encoding" in packed.headers["Vary"]


def test_nobody_is_told_anything_without_signing_in(archive: Archive, series):
    response = archive.get("/studies", JSON, auth=None)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic")
    assert response.json()["message"]


def test_a_study_without_modality_leaves_it_out_for_ohif(archive: Archive) -> None:
    """OHIF's list reads `ModalitiesInStudy.Value.length` and dies where there is no Value."""
    ds = ct_slice()
    ds.Modality = ""
    assert archive.store(ds).status_code == 200
    asked = f"/studies?StudyInstanceUID={ds.StudyInstanceUID}"
    (row,) = archive.json(asked)
    assert "00080061" not in row
    (row,) = archive.json(asked + "&includefield=ModalitiesInStudy")
    assert row["00080061"] == {"vr": "CS"}


def test_explain_says_of_each_key_why_nothing_was_found(archive: Archive):
    ds = ct_slice(
        PatientName="Abernathy^Zoë=安部^ゾエ",
        AccessionNumber="Expl-17",
        StudyDate="20190301",
        StudyDescription="Knie links",
    )
    archive.store(ds)

    def explain(query: str) -> dict:
        return archive.json(f"/studies?explain=1&{query}")

    found = explain("PatientName=Abernathy*")
    assert (found["found"], found["keys"][0]["alone"]) == (1, 1)

    case = explain("AccessionNumber=EXPL-17")["keys"][0]
    assert case["alone"] == 0
    assert case["nearest"] == ["Expl-17"]
    assert "letters" in case["reasons"][0]

    whole = explain("StudyDescription=Knie")["keys"][0]
    assert whole["nearest"] == ["Knie links"]
    assert "*" in whole["reasons"][0]

    name = explain("PatientName=Abernatty")["keys"][0]
    assert name["nearest"] == ["Abernathy^Zoë=安部^ゾエ"]
    assert any("fuzzymatching=true" in reason for reason in name["reasons"])

    group = explain("PatientName=" + "=Abernathy*")["keys"][0]
    assert any("component group" in reason for reason in group["reasons"])

    off_by_one = explain("StudyDate=20190302&PatientName=Abernathy*")
    date, other = off_by_one["keys"]
    assert off_by_one["found"] == 0
    assert any("time zone" in reason for reason in date["reasons"])
    assert (date["without"], other["alone"]) == (1, 1)
    assert "20190301" in date["nearest"]

    each = explain("AccessionNumber=Expl-17&PatientID=" + "nobody's")["keys"]
    assert [key["keyword"] for key in each] == ["AccessionNumber", "PatientID"]
    assert each[1]["reasons"]
    assert archive.get("/studies?explain=1&SOPInstanceUID=1.2", JSON).status_code == 400


def test_QID_08_a_private_key_needs_its_creator(archive: Archive):
    study = ct_slice().StudyInstanceUID
    first, second = ct_slice(study=study), ct_slice(study=study, number=2)
    for ds, block, value in ((first, 0x10, "ALPHA"), (second, 0x33, "BETA")):
        ds.add_new(0x00990000 | block, "LO", "ACME 1.0")
        ds.add_new(0x00990000 | block << 8 | 0x07, "LO", value)
    archive.store(first, second)
    path = f"/studies/{study}/instances"
    # The block of the query and that of the object need not be the same (PS3.5 7.8.1).
    (found,) = archive.json(f"{path}?00990010=ACME 1.0&00991007=BETA")
    assert found["00080018"]["Value"] == [second.SOPInstanceUID]
    assert found["00993307"]["Value"] == ["BETA"]
    (found,) = archive.json(f"{path}?00990010=ACME 1.0&00991007=AL*")
    assert found["00080018"]["Value"] == [first.SOPInstanceUID]
    assert archive.get(f"{path}?00990010=OTHER&00991007=ALPHA", JSON).status_code == 204
    refusal = archive.get(f"{path}?00991007=ALPHA", JSON)
    assert refusal.status_code == 400
    assert "00990010" in refusal.json()["message"]
    # Above the instance a private key is refused, not ignored.
    assert archive.get("/studies?00990010=ACME 1.0&00991007=A", JSON).status_code == 400
