"""Private attributes that an administrator has indexed: found and answered on every level."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import decode, encode

from apps.access.principals import system_principal
from apps.archive.actions.collect_private_values import change_collection, collect_private_values
from apps.archive.actions.remove_instances import prune, remove_instances
from apps.archive.models import Instance, PrivateAttribute, PrivateValue
from apps.archive.selectors import count, search
from apps.dicom.identifiers import AnswerWriter, read_identifier
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.dicom.query import Key, Level, Query
from apps.dicomweb.qido.parameters import search_from
from apps.dimse.find import query_of
from apps.dimse.query_models import BY_SOP_CLASS
from apps.errors import InvalidRequest
from apps.events.models import Event
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from tests.builders import ct_slice, part10
from tests.domain.test_receipts import signed_in

pytestmark = pytest.mark.django_db
ADMIN = system_principal("test")
State = PrivateAttribute.State
AT_ONCE = timedelta(0)
TAG = 0x00291010  # as clients ask; devices below use other blocks


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    pass


def with_private(value: Any, vr: str = "LO", *, creator: str = "ACME 1.1", offset: int = 0x10,
                 blocks_before: int = 0, **attributes: Any) -> Dataset:  # fmt: skip
    ds = ct_slice(**attributes)
    for number in range(blocks_before):
        ds.private_block(0x0029, f"OTHER {number}", create=True).add_new(0x10, "LO", "other")
    ds.private_block(0x0029, creator, create=True).add_new(offset, vr, value)
    return ds


def send(*datasets: Dataset, syntax: str = ExplicitVRLittleEndian) -> None:
    for ds in datasets:
        raw = part10(ds, syntax)
        inbox.receive_part10(Provenance("dimse", "CT1"), raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    drain_inbox(60)


def indexed(**said: Any) -> PrivateAttribute:
    values = {"name": "dose", "creator": "ACME 1.1", "group": "0029", "element": "10", **said}
    made = PrivateAttribute.objects.create(**values)
    collect_private_values(30, settled=AT_ONCE)
    made.refresh_from_db()
    assert made.state == State.DONE
    return made


def found(level: Level, value: str, tag: int = TAG, creator: str = "", **said: Any) -> list[Any]:
    query = Query(level, (Key((tag,), (value,) if value else (), creator),), **said)
    page = search(query, ADMIN)
    assert page.unsupported == ()
    return list(page)


def test_QID_08_what_was_stored_before_and_after_is_found_in_any_block():
    before = with_private("Protocol A")
    send(before)
    indexed()
    after = with_private("Protocol B", blocks_before=3)
    implicit = with_private("Protocol C")
    send(after)
    send(implicit, syntax=ImplicitVRLittleEndian)  # there it is UN, bytes
    for ds, text in ((before, "Protocol A"), (after, "Protocol B"), (implicit, "Protocol C")):
        (match,) = found(Level.STUDY, text)
        assert match.study_instance_uid == ds.StudyInstanceUID
        assert match.items[TAG] == {"vr": "LO", "Value": [text]}
        assert match.items[0x00290010] == {"vr": "LO", "Value": ["ACME 1.1"]}
    assert len(found(Level.SERIES, "Protocol ?")) == len(found(Level.INSTANCE, "Proto*")) == 3
    assert len(found(Level.STUDY, "")) == 3
    assert found(Level.STUDY, "Protocol Z") == []
    (match,) = found(Level.STUDY, "Protocol B", 0x00293310)
    assert set(match.items) == {0x00293310, 0x00290033}
    query = Query(Level.STUDY, (Key((TAG,), ("Protocol*",)),), limit=2)
    assert (len(list(search(query, ADMIN))), count(query, ADMIN)) == (2, 3)


def test_of_a_study_every_value_of_its_instances_is_known_until_they_go():
    study = ct_slice().StudyInstanceUID
    one, other = (
        with_private(text, study=study, series=f"{study}.{text}", PatientID="P") for text in "ab"
    )
    indexed(level="STUDY")
    send(one, other)
    (match,) = found(Level.STUDY, "b")
    assert match.items[TAG]["Value"] == ["a", "b"]
    assert len(found(Level.SERIES, "b")) == 2  # of a study: both series are of it
    gone = Instance.objects.select_related("study", "series").get(
        sop_instance_uid=other.SOPInstanceUID
    )
    remove_instances([gone])
    prune([gone.study_id])
    assert found(Level.STUDY, "b") == []
    assert len(found(Level.STUDY, "a")) == 1


def test_of_a_series_only_that_series_is_found_and_studies_cannot_be_asked():
    study = ct_slice().StudyInstanceUID
    indexed(level="SERIES")
    send(*(with_private(text, study=study, series=f"{study}.{text}") for text in ("1", "2")))
    (match,) = found(Level.SERIES, "2")
    assert match.series_instance_uid == f"{study}.2"
    assert len(found(Level.INSTANCE, "2")) == 1
    page = search(Query(Level.STUDY, (Key((TAG,), ("2",)),)), ADMIN)
    assert [key.tag for key in page.unsupported] == [TAG]


@pytest.mark.parametrize(
    ("vr", "value", "asked", "not_asked"),
    [
        ("DA", "20260105", "20260101-20260131", "20260201-"),
        ("TM", "101500", "10-11", "12-13"),
        ("IS", "007", "7", "8"),
        ("US", 512, "512", "513"),
        ("DS", "1.5", "1.5", "2.5"),
        ("UI", "1.2.3", "1.2.3", "1.2"),
        ("CS", "ON", "O*", "OFF"),
    ],
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_values_are_matched_as_their_vr_says(vr, value, asked, not_asked, syntax):
    indexed(vr=vr)
    send(with_private(value, vr), syntax=syntax)
    (match,) = found(Level.STUDY, asked)
    assert match.items[TAG]["vr"] == vr
    assert found(Level.STUDY, not_asked) == []


def test_two_creators_of_one_tag_have_to_be_told_apart():
    indexed()
    indexed(name="other", creator="ZETA")
    send(with_private("x"), with_private("x", creator="ZETA"))
    assert len(found(Level.STUDY, "x", creator="ZETA")) == 1
    with pytest.raises(InvalidRequest, match="several creators"):
        found(Level.STUDY, "x")
    everything = list(search(Query(Level.STUDY, include_all=True), ADMIN))
    values = [{tag: each.items[tag].get("Value") for tag in each.items} for each in everything]
    assert {0x00290010, 0x00290011, TAG, 0x00291110} <= set(values[0])
    assert sorted([values[0][TAG] or [], values[1][TAG] or []]) == [[], ["x"]]


def test_it_is_paused_resumed_cancelled_and_collected_anew_when_it_changes():
    send(with_private("x"), with_private("y", offset=0x20))
    made = PrivateAttribute.objects.create(
        name="dose", creator="ACME 1.1", group="0029", element="10"
    )
    assert change_collection(ADMIN, made, State.PAUSED)
    made.asked = "ACME 1.1\\0029\\10\\LO"
    made.save(update_fields=["asked"])
    collect_private_values(5, settled=AT_ONCE)
    assert not PrivateValue.objects.exists()
    # Not all collected: it is no key, rather than half a key.
    assert search(Query(Level.STUDY, (Key((TAG,), ("x",)),)), ADMIN).unsupported
    assert change_collection(ADMIN, made, State.RUNNING)
    assert not change_collection(ADMIN, made, State.RUNNING)
    collect_private_values(5, settled=timedelta(hours=1))
    made.refresh_from_db()
    assert made.state == State.RUNNING  # an indexer that does not know of it may be at work
    collect_private_values(5, settled=AT_ONCE)
    assert len(found(Level.STUDY, "x")) == 1
    made.refresh_from_db()
    made.element = "20"
    made.save()
    assert search(Query(Level.STUDY, (Key((TAG + 0x10,), ("y",)),)), ADMIN).unsupported
    collect_private_values(5, settled=AT_ONCE)
    assert len(found(Level.STUDY, "y", TAG + 0x10)) == 1
    assert [each.value for each in PrivateValue.objects.all()] == ["y"]
    assert change_collection(ADMIN, made, State.CANCELLED)
    assert search(Query(Level.STUDY, (Key((TAG + 0x10,), ("y",)),)), ADMIN).unsupported
    assert Event.objects.filter(kind="PrivateAttributeCollected").count() == 2


def test_QID_08_over_the_web_the_creator_may_be_left_out_and_the_field_included():
    indexed()
    ds = with_private("Protocol A")
    send(ds)
    client = signed_in("administrator")
    (answer,) = client.get("/dicom-web/studies?00291010=Protocol*").json()
    assert answer["00291010"] == {"vr": "LO", "Value": ["Protocol A"]}
    assert answer["00290010"]["Value"] == ["ACME 1.1"]
    (answer,) = client.get("/dicom-web/series?includefield=00291010").json()
    assert answer["00291010"]["Value"] == ["Protocol A"]
    (answer,) = client.get("/dicom-web/studies?00290010=ACME%201.1&00291010=Protocol%20A").json()
    assert answer["0020000D"]["Value"] == [ds.StudyInstanceUID]
    assert client.get("/dicom-web/studies?00291010=no").status_code == 204
    assert client.get("/dicom-web/studies?00291099=no").status_code == 400
    (why,) = client.get("/dicom-web/studies?explain=1&00291010=no").json()["keys"]
    assert (why["keyword"], why["alone"]) == ("00291010", 0)
    assert why["reasons"] == ["No stored object has this value."]
    made = PrivateAttribute.objects.get()
    url = f"/api/private-attributes/{made.pk}/collection/"
    body = {"content_type": "application/json"}
    assert client.patch(url, {"state": "cancelled"}, **body).json()["state"] == "cancelled"
    assert client.patch(url, {"state": "done"}, **body).status_code == 400
    assert signed_in("clinician").patch(url, {"state": "running"}, **body).status_code == 403
    page = client.get(reverse("admin:archive_privateattribute_changelist"))
    assert "(0029,xx10)" in page.content.decode()


def test_FND_by_c_find_it_is_found_and_answered_with_its_creator():
    """The door's own steps between the identifier's bytes and the answer's."""
    indexed()
    send(with_private("Protocol A", blocks_before=1))
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", ""
    asked.private_block(0x0029, "ACME 1.1", create=True).add_new(0x10, "LO", "Proto*")
    raw = encode(asked, is_implicit_vr=False, is_little_endian=True)
    identifier = read_identifier(raw, ExplicitVRLittleEndian)
    model = BY_SOP_CLASS["1.2.840.10008.5.1.4.1.2.2.1"]
    page = search(query_of(identifier, model, b""), ADMIN)
    assert page.unsupported == ()
    (match,) = page
    written = AnswerWriter(ExplicitVRLittleEndian, ()).write({}, match.items)
    answer = decode(BytesIO(written), is_implicit_vr=False, is_little_endian=True)
    assert answer.private_block(0x0029, "ACME 1.1")[0x10].value == "Protocol A"


def test_a_private_key_without_its_creator_is_refused_where_nothing_is_indexed():
    with pytest.raises(InvalidRequest, match="Private Creator"):
        search_from("00291010=x", Level.INSTANCE)
