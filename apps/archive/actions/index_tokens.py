"""index_tokens: the words by which studies are found as one types, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from apps.archive.models import Study, StudySearchToken
from apps.dicom.values import search_tokens


def index_tokens(studies: Sequence[Study]) -> None:
    """What the studies' names, identifiers and descriptions say now, and nothing of before."""
    wanted = {
        (study.pk, token)
        for study in studies
        for token in search_tokens(
            names=[study.patient_name],
            identifiers=[study.patient_id, study.accession_number, study.study_id],
            descriptions=[study.study_description],
        )
    }
    rows = StudySearchToken.objects.filter(study_id__in=[study.pk for study in studies])
    stored = {
        (study, token): pk for pk, study, token in rows.values_list("pk", "study_id", "token")
    }
    if stale := [pk for what, pk in stored.items() if what not in wanted]:
        StudySearchToken.objects.filter(pk__in=stale).delete()
    StudySearchToken.objects.bulk_create(
        [
            StudySearchToken(study_id=study, token=token)
            for study, token in sorted(wanted - stored.keys())
        ],
        ignore_conflicts=True,
    )
