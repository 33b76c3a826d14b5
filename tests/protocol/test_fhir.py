"""FHIR R4 ImagingStudy from the archive's rows."""

from __future__ import annotations

import re

import pytest
import requests
from django.test import RequestFactory

from apps.access.principals import Principal, PrincipalKind
from apps.dicom.query import Key, plan
from apps.dicomweb.fhir.parameters import query_from
from apps.dicomweb.fhir.views import search_imaging_studies
from apps.errors import InvalidRequest, NotPermitted
from tests.builders import ct_slice
from tests.protocol.dicomweb_archive import Archive

FHIR = "application/fhir+json; charset=utf-8"


def fhir(archive: Archive, path: str, **options):
    return archive.stack.get("/fhir/" + path, **options)


@pytest.fixture(scope="module")
def study(archive: Archive):
    first = ct_slice(
        PatientID="FHIR-1",
        IssuerOfPatientID="urn:hospital",
        PatientName="Chalmers^Peter",
        AccessionNumber="F-77",
        StudyDate="20210305",
        TimezoneOffsetFromUTC="+0100",
        BodyPartExamined="HEAD",
    )
    # What is the study's is said alike by both: whichever is indexed first speaks for it.
    second = ct_slice(
        study=first.StudyInstanceUID,
        number=7,
        Modality="MR",
        SeriesNumber=2,
        PatientID="FHIR-1",
        IssuerOfPatientID="urn:hospital",
        PatientName="Chalmers^Peter",
        AccessionNumber="F-77",
        StudyDate="20210305",
        TimezoneOffsetFromUTC="+0100",
    )
    assert archive.store(first, second).status_code == 200
    return first, second


def no_empty_members(value) -> None:
    """FHIR forbids empty strings, arrays, objects and nulls."""
    assert value not in ("", None, [], {})
    inside = value.values() if isinstance(value, dict) else value
    for each in inside if isinstance(value, dict | list) else ():
        no_empty_members(each)


def test_a_study_read_with_its_series_and_instances(archive: Archive, study):
    first, _ = study
    response = fhir(archive, f"ImagingStudy/{first.StudyInstanceUID}")
    assert response.headers["Content-Type"] == FHIR
    resource = response.json()
    no_empty_members(resource)
    assert resource["resourceType"] == "ImagingStudy"
    assert resource["identifier"][0] == {
        "system": "urn:dicom:uid",
        "value": f"urn:oid:{first.StudyInstanceUID}",
    }
    assert resource["started"] == "2021-03-05T10:15:00+01:00"
    assert resource["subject"]["identifier"]["value"] == "FHIR-1"
    assert resource["subject"]["display"] == "Peter Chalmers"
    assert [each["code"] for each in resource["modality"]] == ["CT", "MR"]
    assert (resource["numberOfSeries"], resource["numberOfInstances"]) == (2, 2)
    ct, mr = resource["series"]
    assert ct["bodySite"]["display"] == "HEAD"
    assert mr["instance"][0]["number"] == 7
    assert ct["instance"][0]["uid"] == first.SOPInstanceUID
    assert ct["instance"][0]["sopClass"]["code"] == f"urn:oid:{first.SOPClassUID}"
    assert resource["contained"][0]["address"] == archive.root


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("identifier=urn:dicom:uid|urn:oid:{uid}", 1),
        ("_id={uid}", 1),
        ("patient.identifier=FHIR-1", 1),
        ("identifier=F-77", 1),
        ("identifier=|F-77", 1),
        ("identifier=urn:x|F-77", 0),
        ("subject:identifier=urn:hospital|FHIR-1&modality=MR", 1),
        # The same number, given by somebody else, is another patient's.
        ("patient:identifier=urn:x|FHIR-1", 0),
        ("patient.identifier=FHIR-1&modality=US", 0),
        (
            "patient.identifier=nobody,FHIR-1&modality=US,http://dicom.nema.org/resources/ontology/DCM|MR",
            1,
        ),
        ("accession=F-77&modality=http://x|MR", 0),
        ("accession=F-77&started=2021-03-05", 1),
        ("accession=F-77&started=ge2021-03&started=lt2021-04-01", 1),
        ("accession=F-77&started=gt2021-03-05", 0),
        ("accession=F-77&started=le2021", 1),
        ("accession=F-77&started=lt2021-03", 0),
        ("accession=F-77&started=lt2021-03-05T18:00:00Z", 1),
        ("accession=F-77&started=ge2022&started=le2020", 0),
        ("accession=F-77&status=cancelled", 0),
        ("accession=F-77&_sort=-started&_elements=id&_include=*&_format=json", 1),
        ("accession=F-77&_format=", 1),
        ("patient.identifier=FHIR-1&bodysite=HEAD&status=available", 1),
        ("patient.identifier=nobody", 0),
    ],
)
def test_a_search_is_a_bundle(archive: Archive, study, query, found):
    bundle = fhir(archive, "ImagingStudy?" + query.format(uid=study[0].StudyInstanceUID)).json()
    if found:
        no_empty_members(bundle["entry"])
    assert (bundle["type"], bundle["total"]) == ("searchset", found)
    uids = [entry["resource"]["id"] for entry in bundle.get("entry", [])]
    assert uids == [study[0].StudyInstanceUID] * found
    assert all("instance" not in each for entry in bundle.get("entry", [])
               for each in entry["resource"]["series"])  # fmt: skip


def test_a_count_has_no_pages_and_a_form_asks_the_same(archive: Archive, study):
    for counted in ("_count=0", "_summary=count"):
        bundle = fhir(archive, f"ImagingStudy?accession=F-77&{counted}").json()
        assert (bundle["total"], "entry" in bundle) == (1, False)
        assert [link["relation"] for link in bundle["link"]] == ["self"]
    response = requests.post(
        archive.stack.url("/fhir/ImagingStudy/_search?modality=MR"),
        data={"accession": "F-77"},
        auth=archive.stack.auth,
        timeout=30,
    )
    assert response.json()["total"] == 1, response.text
    refused = fhir(archive, "ImagingStudy", headers={"Accept": "application/fhir+xml"})
    assert refused.status_code == 406


def test_a_number_is_no_uid_and_kinds_do_not_mix():
    for number in ("4711", "2024.17", "1"):
        query = query_from([("identifier", number)])
        assert query is not None
        assert query.keys == (Key((0x00080050,), (number,)),)
    for mixed in ("1.2.3,4711", "1.2.3,F-77"):
        with pytest.raises(InvalidRequest):
            query_from([("identifier", mixed)])
    with pytest.raises(InvalidRequest):
        query_from([("patient.identifier", "urn:a|1,urn:b|2")])


@pytest.mark.parametrize(
    ("started", "asked"),
    [
        ("le9999-12-31", "-99991231"),
        ("9999", "99990101-99991231"),
        ("gt9999-12-31", "99991231-"),
        ("ge0001-01-01", "00010101-"),
        ("lt0001-01-01", "-00010101"),
        ("gt2020-02-28", "20200229-"),
    ],
)
def test_dates_reach_to_both_ends_of_the_calendar(started: str, asked: str):
    query = query_from([("started", started)])
    assert query is not None
    assert query.keys == (Key((0x00080020,), (asked,)),)
    assert plan(query).criteria


def test_a_sort_key_counts_once_however_often_it_is_said():
    query = query_from([("_sort", "started,_id," + "started," * 3000 + "_id")])
    assert query is not None
    assert len(query.ordering) == 3  # date, time and UID


@pytest.mark.parametrize("asked", ["accession=F-77", "status=cancelled"])
def test_who_may_not_see_studies_is_not_told_how_many_there_are(asked: str):
    nobody = Principal(PrincipalKind.USER, "nobody", "fhir")
    with pytest.raises(NotPermitted):
        search_imaging_studies(RequestFactory().get(f"/fhir/ImagingStudy?{asked}"), nobody)


def test_pages_follow_their_links(archive: Archive, study):
    archive.store(*(ct_slice(PatientID="FHIR-PAGE") for _ in range(3)))
    path, seen = "ImagingStudy?patient.identifier=FHIR-PAGE&_count=2", []
    while path:
        bundle = fhir(archive, path).json()
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        path = re.sub(r"^.*/fhir/", "", links["next"]) if "next" in links else ""
    assert len(seen) == len(set(seen)) == 3


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("ImagingStudy/1.2.3.999", 404),
        ("ImagingStudy/*", 404),
        ("ImagingStudy?_id=", 400),
        ("ImagingStudy?series=*", 400),
        ("ImagingStudy?colour=red", 400),
        ("ImagingStudy?started=soon", 400),
        ("ImagingStudy?started=2021-02-31", 400),
        ("ImagingStudy?patient.identifier=*", 400),
        ("ImagingStudy?_count=-1", 400),
        ("ImagingStudy?status=lost", 400),
        ("ImagingStudy?started=2021-03-05Tnoon", 400),
        ("ImagingStudy?_sort=colour", 400),
        ("ImagingStudy?_format=xml", 406),
        ("metadata?_format=xml", 406),
    ],
)
def test_failures_are_operation_outcomes(archive: Archive, path, status):
    response = fhir(archive, path)
    assert response.status_code == status, response.text
    outcome = response.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"][0]["diagnostics"].endswith(".")


def test_what_the_server_can_and_who_may_ask(archive: Archive):
    statement = fhir(archive, "metadata").json()
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["rest"][0]["resource"][0]["type"] == "ImagingStudy"
    assert fhir(archive, "ImagingStudy", auth=None).status_code == 401
