"""In which form instances are asked for: not every archive knows each of them (PS3.18 8.7.3)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from apps.network.scu import PeerRefused
from apps.network.web_archive import WebArchive
from apps.network.web_client import WebAnswer, WebSession
from apps.network.web_waiting import Look
from apps.transfers.web_queries import path_of, refuse_failures

_PARTS: Final = 'multipart/related; type="application/dicom"'
_OF_MANY: Final = (f"{_PARTS}; transfer-syntax=*", _PARTS)
"""As stored; then as the archive likes: `*` is optional, without it the default is meant."""
_OF_ONE: Final = (*_OF_MANY, "application/dicom; transfer-syntax=*", "application/dicom")
_OTHER_FORM: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_ACCEPTABLE})


class FormRefused(PeerRefused):
    """The archive gives it out in none of the forms there are for DICOM instances."""


class Retrieval:
    """Requests for instances to one archive; the form that it takes is kept to."""

    def __init__(self, archive: WebArchive, session: WebSession) -> None:
        self._archive = archive
        self._session = session
        self._taken = ""

    def ask(self, keys: Mapping[str, str], look: Look) -> WebAnswer:
        """An answer that holds something; to be closed.

        Raises FormRefused, PeerRefused, PeerUnreachable, Unavailable, and what `look` raises.
        """
        forms = _OF_ONE if "SOPInstanceUID" in keys else _OF_MANY
        refusals: set[int] = set()
        # What was taken before comes first, and the others after it in their order.
        for form in sorted(forms, key=lambda each: each != self._taken):
            answer = self._session.ask("GET", path_of(keys), {"Accept": form}, look=look)
            try:
                if answer.status not in _OTHER_FORM:
                    refuse_failures(self._archive, answer)
                    self._taken = form
                    return answer
            except BaseException:
                answer.close()
                raise
            answer.close()
            refusals.add(answer.status)
        raise self._refusal(single=forms is _OF_ONE, form=HTTPStatus.NOT_ACCEPTABLE in refusals)

    def _refusal(self, *, single: bool, form: bool) -> PeerRefused:
        name = self._archive.name
        if not form:
            return PeerRefused(f"{name} answered 400 to this request.", HTTPStatus.BAD_REQUEST)
        also = ", nor one by itself" if single else ""
        return FormRefused(
            f"{name} gives out no DICOM instances as parts of an answer{also} (406).",
            HTTPStatus.NOT_ACCEPTABLE,
        )
