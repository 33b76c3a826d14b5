"""The queries that are asked all day use an index, on SQLite and on PostgreSQL, as EXPLAIN says."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from apps.access import prepared
from apps.access.models import User
from apps.access.prepared import _rows
from apps.access.principals import Permission, system_principal
from apps.access.standing import Standing
from apps.archive.actions.index_names import index_names
from apps.archive.models import (
    Instance,
    Patient,
    PrivateAttribute,
    PrivateValue,
    Series,
    Study,
    StudyAlert,
    StudySearchToken,
)
from apps.archive.private_values import asked_of
from apps.archive.selectors import count, instances_of, search
from apps.archive.study_list import StudyListFilter, study_list
from apps.coercion.models import CoercionRule
from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.query import Key, Level, Query
from apps.indexing.interruption import Interrupted, interruptible
from apps.ingest.house_rules import are_any_laid_down
from apps.ingest.known import known_and, known_of
from apps.network.models import ApplicationEntity
from tests.domain.database import own_database

ASKER = system_principal("plans")
# Enough that reading everything is dearer than an index.
STUDIES = 3000


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, django_db_blocker: Any) -> Iterator[str]:
    """A database with rows and statistics; both vendors plan by what is stored."""
    with own_database(request, django_db_blocker, "plans") as vendor:
        _fill()
        with connections["default"].cursor() as cursor:
            cursor.execute("ANALYZE")
        yield vendor


def _fill() -> None:
    from django.utils import timezone

    from apps.dicom.values import fold_name, search_tokens

    now = {"received_at": timezone.now()}
    numbers = range(1, STUDIES + 1)
    names = {number: f"{chr(97 + number % 26)}{number * 7919 % 9973:04}^Jan" for number in numbers}
    with transaction.atomic():
        Patient.objects.bulk_create(
            Patient(id=n, identity_key=str(n), patient_id=f"P{n}", patient_name=names[n],
                    patient_name_alphabetic=fold_name(names[n])[0],
                    number_of_patient_related_studies=1, **now)
            for n in numbers
        )  # fmt: skip
        Study.objects.bulk_create(
            Study(id=n, patient_entity_id=n, study_instance_uid=f"1.2.{n}", patient_id=f"P{n}",
                  patient_birth_date=_date(n), patient_name=names[n],
                  patient_name_alphabetic=fold_name(names[n])[0],
                  study_date=_date(n), study_time="101010",
                  accession_number=f"A{n}", study_id=str(n), study_description=f"Study {n}",
                  referring_physician_name_alphabetic=names[n], last_received_at=now["received_at"],
                  modalities_in_study="SEG" if n % 1000 == 0 else "CT", **now)
            for n in numbers
        )  # fmt: skip
        StudySearchToken.objects.bulk_create(
            StudySearchToken(study_id=n, token=token)
            for n in numbers
            for token in sorted(search_tokens(names=[names[n]], identifiers=[f"P{n}"]))
        )
        index_names(Study.objects.all())
        StudyAlert.objects.bulk_create(
            StudyAlert(study_id=n, cause=cause, text="Look", raised_at=now["received_at"])
            for n in numbers
            for cause in StudyAlert.Cause.values
        )
        Series.objects.bulk_create(
            Series(id=n, study_id=n, series_instance_uid=f"1.2.{n}.1", series_number=1,
                   modality="SEG" if n % 1000 == 0 else "CT", last_received_at=now["received_at"],
                   **now)
            for n in numbers
        )  # fmt: skip
        Instance.objects.bulk_create(
            Instance(study_id=n, series_id=n, sop_instance_uid=f"1.2.{n}.1.{i}", instance_number=i,
                     sop_class_uid="1.2.3", blob_key=f"{n}/{i}", size_bytes=1, dataset_offset=1,
                     dataset_sha256=b"", **now)
            for n in numbers
            for i in range(3)
        )  # fmt: skip
        _fill_private()


def _fill_private() -> None:
    """Three attributes of every instance, one for each level."""
    for number, level in enumerate(PrivateAttribute.Level.values, 0x10):
        attribute = PrivateAttribute(
            name=level, creator="ACME", group="0029", element=f"{number:02X}", level=level,
            state="done",
        )  # fmt: skip
        attribute.asked = asked_of(attribute)
        attribute.save()
        # In the database itself: as objects, these rows took as long as a third of all others.
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {PrivateValue._meta.db_table}"
                " (attribute_id, study_id, series_id, instance_id, value)"
                " SELECT %s, study_id, series_id, id, 'v' || series_id"
                f" FROM {Instance._meta.db_table}",
                [attribute.pk],
            )


def private(level: Level, value: str, element: int) -> Callable[[], Any]:
    key = Key((0x00291000 + element,), (value,))
    return lambda: list(search(Query(level, (key,), limit=100), ASKER))


def _date(number: int) -> str:
    return f"20{number % 24:02}{number // 24 % 12 + 1:02}{number // 288 % 28 + 1:02}"


def plans_of(ask: Callable[[], Any]) -> list[str]:
    """The plan of every SELECT that `ask` causes, one text each."""
    compiled: list[tuple[str, Any]] = []

    def noted(database: Any, sql: str, parameters: Any) -> list[tuple[Any, ...]]:
        compiled.append((sql, parameters))
        return _rows(database, sql, parameters)

    with CaptureQueriesContext(connection) as captured, pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared, "_rows", noted)  # these go past the cursor that is captured
        ask()
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    statements = [each["sql"] for each in captured.captured_queries if _is_select(each["sql"])]
    assert statements or compiled
    found = []
    for sql, parameters in compiled:
        rows = connection.connection.execute(f"{explain} {sql}", parameters).fetchall()
        found.append("\n".join(str(row[-1]) for row in rows))
    for statement in statements:
        with connection.cursor() as cursor:
            cursor.execute(f"{explain} {_quoted(statement)}".replace("%", "%%"))
            found.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
    return found


def _is_select(sql: str) -> bool:
    return sql.lstrip("(").startswith(("SELECT", "DECLARE"))


def _quoted(statement: str) -> str:
    """The SELECT of a server-side cursor without its declaration."""
    return re.sub(r"^DECLARE .*? FOR (?=SELECT)", "", statement, flags=re.DOTALL)


def full_scans(plan: str) -> list[str]:
    """Lines of the plan that read a whole table of the archive, or a whole index of it.

    Not of the indexed private attributes: there are a handful, and all are looked at.
    """
    if connection.vendor == "postgresql":
        return re.findall(r".*Seq Scan on archive_(?!privateattribute)\w+.*", plan)
    # A scan in the order of an index, ended by LIMIT, is what a list without filters is.
    return [
        line
        for line in plan.splitlines()
        if line.startswith("SCAN ") and re.search(r"archive_(?!privateattribute)|U\d", line)
    ]


def find(level: Level = Level.STUDY, limit: int | None = 100, **keys: str) -> Callable[[], Any]:
    asked = tuple(Key((BY_KEYWORD[name].tag,), (value,)) for name, value in keys.items())
    return lambda: list(search(Query(level, asked, limit=limit), ASKER))


def by_sound(name: str, level: Level = Level.STUDY) -> Callable[[], Any]:
    key = Key((BY_KEYWORD["PatientName"].tag,), (name,))
    return lambda: list(search(Query(level, (key,), limit=100, fuzzy_names=True), ASKER))


def number(**keys: str) -> Callable[[], Any]:
    asked = tuple(Key((BY_KEYWORD[name].tag,), (value,)) for name, value in keys.items())
    return lambda: count(Query(Level.STUDY, asked), ASKER)


def screen(**set_: Any) -> Callable[[], Any]:
    return lambda: study_list(StudyListFilter(**set_), ASKER)


SHAPES: dict[str, Callable[[], Any]] = {
    "patient ID": find(PatientID="P77"),
    "patient ID, prefix": find(PatientID="P77*"),
    "patient ID, all rows streamed": find(PatientID="P77", limit=None),
    "accession number": find(AccessionNumber="A77"),
    "study UID": find(StudyInstanceUID="1.2.77"),
    "study UIDs": find(StudyInstanceUID="1.2.77\\1.2.78"),
    "study ID": find(StudyID="77"),
    "name": find(PatientName="b7919^Jan"),
    "name, prefix": find(PatientName="b12*"),
    "name by group": find(PatientName="b12*=山*"),
    "referring physician": find(ReferringPhysicianName="b12*=="),
    "name by sound": by_sound("p7919^Yan"),
    "series by sound": by_sound("p7919^Yan", Level.SERIES),
    "one day": find(StudyDate="20120505"),
    "one month": find(StudyDate="20120501-20120531"),
    "one month and a modality": find(StudyDate="20120501-20120531", ModalitiesInStudy="CT"),
    "name prefix in a month": find(StudyDate="20120501-20120531", PatientName="b1*"),
    "birth date": find(PatientBirthDate="19700101"),
    "series of a study": find(Level.SERIES, StudyInstanceUID="1.2.77"),
    "series by UID": find(Level.SERIES, SeriesInstanceUID="1.2.77.1"),
    "series of a patient": find(Level.SERIES, PatientID="P77"),
    "instances of a series": find(Level.INSTANCE, SeriesInstanceUID="1.2.77.1"),
    "instances of a study": find(Level.INSTANCE, StudyInstanceUID="1.2.77"),
    "instance by UID": find(Level.INSTANCE, SOPInstanceUID="1.2.77.1.1"),
    "patients by name": find(Level.PATIENT, PatientName="b12*"),
    "studies by an instance": find(SOPInstanceUID="1.2.77.1.1"),
    "studies by a private attribute": private(Level.STUDY, "v77", 0x10),
    "studies by a private prefix": private(Level.STUDY, "v777*", 0x10),
    "series by a private attribute": private(Level.SERIES, "v77", 0x11),
    "series by a private attribute of studies": private(Level.SERIES, "v77", 0x10),
    "instances by a private attribute": private(Level.INSTANCE, "v77", 0x12),
    "count of a month": number(StudyDate="20120501-20120531"),
    "count by name": number(PatientName="b12*"),
    "selector of instances": lambda: list(instances_of(ASKER, "1.2.77", "1.2.77.1")),
    "screen, words": screen(q="b79 jan"),
    "screen, identifier": screen(q="p77"),
    "screen, accession": screen(accession="A77"),
    "screen, days": screen(date_from="20120501", date_to="20120531"),
}


@pytest.mark.parametrize("name", list(SHAPES))
def test_the_shape_uses_an_index(filled: str, name: str) -> None:
    for plan in plans_of(SHAPES[name]):
        assert full_scans(plan) == [], f"{filled}: {name}\n{plan}"


def test_a_plan_that_scans_is_noticed(filled: str) -> None:
    plans = plans_of(lambda: list(Study.objects.filter(patient_comments="x")))
    assert full_scans(plans[0]) != [], plans


def test_the_first_page_of_everything_is_read_in_the_order_of_an_index(filled: str) -> None:
    plan = plans_of(find())[0]
    assert "archive_stu_study_d" in plan, plan
    assert "TEMP B-TREE" not in plan.upper()
    assert "Sort" not in plan


def test_a_rare_modality_is_looked_for_in_an_index_alone(filled: str) -> None:
    if filled == "sqlite":
        plan = plans_of(find(ModalitiesInStudy="SEG"))[0]
        assert "USING COVERING INDEX archive_stu_modalit" in plan, plan


ENDLESS = (
    "SELECT count(*) FROM archive_study a, archive_study b, archive_study c, archive_study d"
    " WHERE a.study_description || b.study_description || c.study_description LIKE '%never%'"
)


def test_FND_19_a_statement_ends_when_nobody_waits_for_it(filled: str) -> None:
    """Inside the statement, where no Python of ours runs; the next one is not harmed."""
    given_up = threading.Event()
    threading.Timer(0.3, given_up.set).start()
    began = time.monotonic()
    with (
        pytest.raises(Interrupted),
        interruptible(given_up.is_set),
        connection.cursor() as cursor,
    ):
        cursor.execute(ENDLESS)
    assert time.monotonic() - began < 20
    with interruptible(lambda: False):
        assert Study.objects.count() == STUDIES
    with pytest.raises(DatabaseError), interruptible(lambda: False), connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")
    assert Study.objects.count() == STUDIES


def test_what_is_asked_together_is_what_is_asked_apart(filled: str) -> None:
    """A Store's questions: what is stored, whether the sign-in stands, whether there are rules."""
    at = {"StudyInstanceUID": "1.2.7", "SeriesInstanceUID": "1.3.7", "SOPInstanceUID": "1.4.7"}
    new = {**at, "SOPInstanceUID": "1.4.7.new'\""}
    user = User.objects.create_superuser(f"asker-{filled}", password="a long enough password")
    everything = frozenset(Permission)
    stands = Standing(user.pk, user.username, user.password, True, everything)
    gone = replace(stands, password="another")
    rules = are_any_laid_down()
    for objects in ([at], [new], [at, new], []):
        known, said = known_and(objects, [*rules, stands.question(), gone.question()])
        assert known == known_of(objects)
        assert said == [False, False, True, False]
    assert known_of([at]).identity_of_study["1.2.7"].patient_id == "P7"
    with transaction.atomic():
        CoercionRule.objects.create(name="all", operations="set InstitutionName = Ours")
        assert known_and([at], rules)[1] == [False, True]
        ApplicationEntity.objects.create(
            title="CT1", host="192.0.2.7", port=104, duplicates=ApplicationEntity.Duplicates.REPLACE
        )
        assert known_and([at], rules)[1] == [True, True]
        transaction.set_rollback(True)
