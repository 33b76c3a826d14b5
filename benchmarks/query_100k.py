"""How fast the archive answers with 100,000 studies and 1,000,000 instances.

    python benchmarks/query_100k.py [--studies 100000] [--small 10000] [--runs 30]
                                    [--database postgresql://user@host:port/name] [--plans]

Without --database both archives are SQLite files in a temporary folder, made and removed here. With
it the given database has to be empty; it is filled with the small archive, measured, filled up and
measured again. Prints p50 and p95 in milliseconds for each query at both sizes, and the median of
the processor time of this process, which other work on the machine does not blur (on SQLite that is
all there is to a query; PostgreSQL's own share is not in it). Flat means that what is asked for
costs, and not what is stored.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# p50 and p95 of the time that passes, p50 of processor time, in ms.
Figures = tuple[float, float, float]
SERIES_PER_STUDY = 2
INSTANCES_PER_SERIES = 5
FIRST_DAY = date(2015, 1, 1)
DAYS = 3650
MODALITIES = ["CT"] * 30 + ["MR"] * 20 + ["CR"] * 20 + ["DX"] * 15 + ["US"] * 14 + ["XA"]
SYLLABLES = ["ba", "den", "ka", "lo", "mi", "nor", "pe", "ra", "sch", "sta", "ti", "van", "wal",
             "ya", "zo", "ber", "gu", "hil", "jo", "fe"]  # fmt: skip
REGIONS = ["ABDOMEN", "BRAIN", "CHEST", "FOOT", "HAND", "HEART", "HIP", "KNEE", "NECK", "SPINE"]
KANJI = "山田中村木林佐藤鈴高橋伊渡辺"


def main() -> None:
    """Seeds, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--database", default="")
    parser.add_argument("--keep", default="", help="folder in which SQLite files stay")
    parser.add_argument("--only", default="", help="questions whose name begins so")
    parser.add_argument("--plans", action="store_true", help="print plans of slow queries")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pacsweb-benchmark-") as folder:
        os.environ["PACSWEB_DATA_DIR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "pacsweb.settings"
        import django

        django.setup()
        measured = {
            size: _measure_at(size, options, Path(options.keep or folder))
            for size in (options.small, options.studies)
        }
    _report(measured)


def _measure_at(size: int, options: Any, folder: Path) -> dict[str, Figures]:
    from django.core.management import call_command
    from django.db import connection

    url = options.database or f"sqlite:///{folder}/studies-{size}.sqlite3"
    _connect(url)
    call_command("migrate", verbosity=0)
    from apps.archive.models import Study

    stored = Study.objects.count()
    if stored < size:
        started = time.perf_counter()
        seed(stored, size)
        print(f"{connection.vendor}: {size - stored} studies seeded "
              f"in {time.perf_counter() - started:.0f} s", flush=True)  # fmt: skip
    return measure(size, options.runs, only=options.only, plans=options.plans)


def _connect(url: str) -> None:
    from django.db import connections

    from pacsweb.settings import database_from_url

    connections["default"].close()
    connections.settings["default"] = {**connections.settings["default"], **database_from_url(url)}
    del connections["default"]


# --- seeding -------------------------------------------------------------------------------------


def _names(chance: random.Random, number: int) -> list[str]:
    """Names in full, one in twenty with the ideographic group as well."""
    made = []
    for _ in range(number):
        family, given = ("".join(chance.choices(SYLLABLES, k=k)).title() for k in (3, 2))
        kanji = "".join(chance.choices(KANJI, k=2)) + "^" + "".join(chance.choices(KANJI, k=2))
        made.append(f"{family}^{given}" + (f"={kanji}" if chance.random() < 0.05 else ""))
    return made


class Rows:
    """Bulk insert of one model, past the ORM: other columns get their defaults."""

    def __init__(self, model: Any) -> None:
        fields = [each for each in model._meta.concrete_fields if not _is_automatic(each, model)]
        self.table = model._meta.db_table
        self.columns = [each.column for each in fields]
        self.template = [each.get_default() for each in fields]
        self.place = {column: index for index, column in enumerate(self.columns)}

    def insert(self, rows: Iterator[dict[str, Any]]) -> None:
        """COPY where the database has it, else one statement for thousands of rows."""
        from django.db import connection

        names = ", ".join(f'"{column}"' for column in self.columns)
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                with cursor.copy(f'COPY "{self.table}" ({names}) FROM STDIN') as copy:
                    for row in rows:
                        copy.write_row(self._filled(row))
                return
            marks = ", ".join("?" for _ in self.columns)
            sql = f'INSERT INTO "{self.table}" ({names}) VALUES ({marks})'
            raw = connection.connection
            while chunk := [self._filled(row) for row in islice(rows, 20_000)]:
                raw.executemany(sql, chunk)

    def _filled(self, row: dict[str, Any]) -> list[Any]:
        values = self.template.copy()
        for column, value in row.items():
            values[self.place[column]] = value
        return values


def _is_automatic(field: Any, model: Any) -> bool:
    return field.primary_key and model.__name__ in {"StudySearchToken", "StudyAlert"}


def seed(first: int, last: int) -> None:
    """Studies number `first` to `last`, with patients, series, instances and search tokens."""
    from django.db import connection, transaction

    from apps.archive.models import (
        Instance,
        Patient,
        Series,
        Study,
        StudyAlert,
        StudySearchToken,
    )

    chance = random.Random(first)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    if connection.vendor == "sqlite":
        now = now.replace(tzinfo=None).isoformat(" ")  # type: ignore[assignment]
    studies = list(_studies(chance, first, last, now))
    with transaction.atomic():
        Rows(Patient).insert(_patients(studies, now))
        Rows(Study).insert(row for row, _ in studies)
        Rows(StudySearchToken).insert(
            {"study_id": row["id"], "token": token} for row, tokens in studies for token in tokens
        )
        Rows(StudyAlert).insert(
            {"study_id": row["id"], "cause": "quarantine", "text": "look", "raised_at": now}
            for row, _ in studies
            if row["id"] % 500 == 0
        )
        Rows(Series).insert(_series(studies, now))
        Rows(Instance).insert(_instances(studies, now))
    _synchronise_sequences()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "PRAGMA optimize")


def _synchronise_sequences() -> None:
    from django.core.management.color import no_style
    from django.db import connection

    from apps.archive.models import Instance, Patient, Series, Study

    for sql in connection.ops.sequence_reset_sql(no_style(), [Patient, Study, Series, Instance]):
        with connection.cursor() as cursor:
            cursor.execute(sql)


def _studies(
    chance: random.Random, first: int, last: int, now: Any
) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    from apps.dicom.values import fold_name, search_tokens

    names = _names(chance, max(1, (last - first) * 2 // 5))
    doctors = _names(random.Random(0), 300)
    for number in range(first + 1, last + 1):
        person = chance.randrange(len(names))
        name, modality = names[person], chance.choice(MODALITIES)
        region = chance.choice(REGIONS)
        patient_id = f"P{first + person:07}"
        accession = f"A{number:08}"
        description = f"{modality} {region.title()} {'with' if number % 3 else 'without'} contrast"
        alphabetic, ideographic, phonetic = fold_name(name)
        doctor = doctors[number % len(doctors)]
        modalities = f"{modality}\\SEG" if number % 2000 == 0 else modality
        yield {
            "id": number,
            "patient_entity_id": first + person + 1,
            "study_instance_uid": f"1.2.826.0.1.3680043.10.1.{number}",
            "patient_name": name,
            "patient_name_alphabetic": alphabetic,
            "patient_name_ideographic": ideographic,
            "patient_name_phonetic": phonetic,
            "patient_id": patient_id,
            "patient_birth_date": f"{1930 + person % 80}{1 + person % 12:02}{1 + person % 28:02}",
            "patient_sex": "FMO"[person % 3],
            "study_date": f"{FIRST_DAY + timedelta(days=chance.randrange(DAYS)):%Y%m%d}",
            "study_time": f"{chance.randrange(24):02}{chance.randrange(60):02}00",
            "accession_number": accession,
            "study_id": str(number),
            "study_description": description,
            "referring_physician_name": doctor,
            "referring_physician_name_alphabetic": fold_name(doctor)[0],
            "modalities_in_study": modalities,
            "body_parts_examined": region,
            "station_names": f"ST{number % 40}",
            "number_of_study_related_series": SERIES_PER_STUDY,
            # As if they had more: sorting by it must not meet the same number everywhere.
            "number_of_study_related_instances": number * 7919 % 3001,
            "source_ae_title": f"AE{number % 25}",
            "size_bytes": number * 7919 % 3001 * 525_000,
            "state": "complete" if number % 20 == 0 else "read",
            "read_by": "" if number % 20 == 0 else "reader",
            "received_at": now,
            "last_received_at": now,
            "completed_at": now,
        }, search_tokens(names=[name], identifiers=[patient_id, accession, str(number)],
                         descriptions=[description])  # fmt: skip


def _patients(
    studies: list[tuple[dict[str, Any], frozenset[str]]], now: Any
) -> Iterator[dict[str, Any]]:
    kept = ("patient_name", "patient_name_alphabetic", "patient_name_ideographic",
            "patient_name_phonetic", "patient_id", "patient_birth_date", "patient_sex")  # fmt: skip
    seen: dict[int, dict[str, Any]] = {}
    for row, _ in studies:
        person = seen.setdefault(
            row["patient_entity_id"],
            {name: row[name] for name in kept}
            | {"id": row["patient_entity_id"], "identity_key": row["patient_id"] + "\x1f",
               "received_at": now, "number_of_patient_related_studies": 0},
        )  # fmt: skip
        person["number_of_patient_related_studies"] += 1
    yield from seen.values()


def _series(
    studies: list[tuple[dict[str, Any], frozenset[str]]], now: Any
) -> Iterator[dict[str, Any]]:
    for row, _ in studies:
        modalities = row["modalities_in_study"].split("\\")
        for place in range(SERIES_PER_STUDY):
            yield {
                "id": (row["id"] - 1) * SERIES_PER_STUDY + place + 1,
                "study_id": row["id"],
                "series_instance_uid": f"{row['study_instance_uid']}.{place + 1}",
                "modality": modalities[-1] if place else modalities[0],
                "series_number": place + 1,
                "series_description": row["study_description"],
                "body_part_examined": row["body_parts_examined"],
                "station_name": row["station_names"],
                "number_of_series_related_instances": INSTANCES_PER_SERIES,
                "received_at": now,
                "last_received_at": now,
            }


def _instances(
    studies: list[tuple[dict[str, Any], frozenset[str]]], now: Any
) -> Iterator[dict[str, Any]]:
    for row, _ in studies:
        for place in range(SERIES_PER_STUDY):
            series = (row["id"] - 1) * SERIES_PER_STUDY + place + 1
            for number in range(1, INSTANCES_PER_SERIES + 1):
                uid = f"{row['study_instance_uid']}.{place + 1}.{number}"
                yield {
                    "study_id": row["id"],
                    "series_id": series,
                    "id": (series - 1) * INSTANCES_PER_SERIES + number,
                    "sop_instance_uid": uid,
                    "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
                    "instance_number": number,
                    "rows": 512,
                    "columns": 512,
                    "image_type": "ORIGINAL\\PRIMARY\\AXIAL",
                    "transfer_syntax_uid": "1.2.840.10008.1.2.1",
                    "blob_key": uid,
                    "size_bytes": 525_000,
                    "dataset_offset": 400,
                    "dataset_sha256": bytes(32),
                    "received_at": now,
                }


# --- measuring -----------------------------------------------------------------------------------


def questions(size: int) -> dict[str, Callable[[random.Random], Any]]:
    """What is asked, by name; each takes the chance by which it picks what to look for."""
    from apps.access.principals import system_principal
    from apps.archive.models import Study
    from apps.archive.selectors import count, search
    from apps.archive.study_list import SORTS, StudyListFilter, matching_count, study_list
    from apps.dicom.attributes import BY_KEYWORD
    from apps.dicom.query import Key, Level, Query

    asker = system_principal("benchmark")

    def ask(level: Level = Level.STUDY, offset: int = 0, limit: int = 100, **keys: str) -> int:
        asked = tuple(Key((BY_KEYWORD[name].tag,), (value,)) for name, value in keys.items())
        return len(list(search(Query(level, asked, limit=limit, offset=offset), asker)))

    def number(**keys: str) -> int:
        asked = tuple(Key((BY_KEYWORD[name].tag,), (value,)) for name, value in keys.items())
        return count(Query(Level.STUDY, asked), asker)

    def screen(sort: str = "-study_date", **filters: Any) -> int:
        return len(study_list(StudyListFilter(**filters), asker, sort=sort).studies)

    def by(sort: str, _: random.Random) -> int:
        return screen(sort)

    def tabs() -> int:
        asked = ({"date": "7d"}, {"state": "complete"}, {"modality": ("CT",)}, {"q": "chest"})
        return sum(matching_count(StudyListFilter(**each), asker, 1000) for each in asked)

    def one(chance: random.Random) -> Any:
        return Study.objects.get(pk=chance.randrange(size) + 1)

    def family(chance: random.Random, letters: int) -> str:
        return str(one(chance).patient_name[:letters])

    def month(chance: random.Random) -> tuple[str, str]:
        start = FIRST_DAY + timedelta(days=chance.randrange(DAYS - 31))
        return f"{start:%Y%m%d}", f"{start + timedelta(days=30):%Y%m%d}"

    return {
        "Patient ID, exact": lambda c: ask(PatientID=one(c).patient_id),
        "Accession Number, exact": lambda c: ask(AccessionNumber=one(c).accession_number),
        "Study Instance UID": lambda c: ask(StudyInstanceUID=one(c).study_instance_uid),
        "name, prefix of 6": lambda c: ask(PatientName=f"{family(c, 6)}*"),
        "name, prefix of 2": lambda c: ask(PatientName=f"{family(c, 2)}*"),
        "name, infix": lambda c: ask(PatientName=f"*{family(c, 7)[2:]}*"),
        "name, infix that nobody has": lambda _: ask(PatientName="*xqx*"),
        "description, infix": lambda c: ask(StudyDescription=f"*{c.choice(REGIONS).title()}*"),
        "one month, page 1": lambda c: ask(StudyDate="-".join(month(c))),
        "no key, page 1": lambda _: ask(),
        "no key, last page": lambda _: ask(offset=size - 100),
        "month and modality": lambda c: ask(StudyDate="-".join(month(c)), ModalitiesInStudy="MR"),
        "ModalitiesInStudy=CT": lambda _: ask(ModalitiesInStudy="CT"),
        "ModalitiesInStudy=SEG (1 of 2000)": lambda _: ask(ModalitiesInStudy="SEG"),
        "Modality=XA, at study level": lambda _: ask(Modality="XA"),
        "name prefix and modality": lambda c: ask(
            PatientName=f"{family(c, 4)}*", ModalitiesInStudy="MR"
        ),
        "count, no key": lambda _: number(),
        "count, one month": lambda c: number(StudyDate="-".join(month(c))),
        "count, ModalitiesInStudy=CT": lambda _: number(ModalitiesInStudy="CT"),
        "series of a study": lambda c: ask(
            Level.SERIES, StudyInstanceUID=one(c).study_instance_uid
        ),
        "series of a patient": lambda c: ask(Level.SERIES, PatientID=one(c).patient_id),
        "instances of a series": lambda c: ask(
            Level.INSTANCE, SeriesInstanceUID=f"{one(c).study_instance_uid}.1"
        ),
        "patients, name prefix of 4": lambda c: ask(Level.PATIENT, PatientName=f"{family(c, 4)}*"),
        "screen: first page": lambda _: screen(),
        "screen: one letter": lambda c: screen(q=family(c, 1)),
        "screen: three letters": lambda c: screen(q=family(c, 3)),
        "screen: name and word": lambda c: screen(q=f"{family(c, 5)} {c.choice(REGIONS)}"),
        "screen: two common words": lambda c: screen(q=f"contrast {c.choice(REGIONS)}"),
        "screen: nothing found": lambda _: screen(q="xqxq", modality=("CT",), station="ST1"),
        "screen: accession": lambda c: screen(accession=one(c).accession_number[:-1]),
        "screen: date range, modality": lambda c: screen(
            **dict(zip(("date_from", "date_to"), month(c), strict=True)), modality=("CT", "MR")
        ),
        "screen: description": lambda c: screen(description=c.choice(REGIONS)),
        "screen: read": lambda _: screen(state="read"),
        "screen: not read": lambda _: screen(state="complete"),
        "screen: attention": lambda _: screen(state="attention"),
        "screen: four tabs counted": lambda _: tabs(),
        **{f"screen: by {sort}": functools.partial(by, sort) for sort in SORTS},
        **{f"screen: by -{sort}": functools.partial(by, f"-{sort}") for sort in SORTS},
    }


def measure(size: int, runs: int, *, only: str = "", plans: bool = False) -> dict[str, Figures]:
    """Name of each question -> its figures, after two unmeasured runs."""
    from django.db import connection, reset_queries
    from django.test.utils import CaptureQueriesContext

    results: dict[str, Figures] = {}
    for name, question in questions(size).items():
        if not name.startswith(only):
            continue
        chance = random.Random(name)
        taken, worked = [], []
        for run in range(runs + 2):
            reset_queries()
            started, busy = time.perf_counter(), time.process_time()
            question(chance)
            if run > 1:
                taken.append((time.perf_counter() - started) * 1000)
                worked.append((time.process_time() - busy) * 1000)
        cuts = statistics.quantiles(taken, n=20, method="inclusive")
        results[name] = (statistics.median(taken), cuts[18], statistics.median(worked))
        if plans and results[name][0] > 20:
            with CaptureQueriesContext(connection) as captured:
                question(chance)
            for each in captured.captured_queries:
                if each["sql"].startswith("SELECT"):
                    _print_plan(name, each["sql"], each["time"])
    return results


def _print_plan(name: str, sql: str, seconds: str) -> None:
    from django.db import connection

    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        print(f"\n-- {name}: {seconds} s\n{sql}")
        cursor.execute(f"{explain} {sql}".replace("%", "%%"))
        for row in cursor.fetchall():
            print("   ", row[-1])


def _report(measured: dict[int, dict[str, Figures]]) -> None:
    small, large = measured
    print(f"\n{'ms':36}{f'{small} studies':>26}{f'{large} studies':>28}")
    print(f"{'':36}" + f"{'p50':>10}{'p95':>8}{'cpu':>8}  " * 2)
    for name, after in measured[large].items():
        figures = ("".join(f"{each:>{w}.1f}" for each, w in zip(at, (10, 8, 8), strict=True))
                   for at in (measured[small][name], after))  # fmt: skip
        print(f"{name:36}" + "  ".join(figures))


if __name__ == "__main__":
    main()
