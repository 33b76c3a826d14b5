"""Self-tests of the web services' claims: requests to our own web server that change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import orjson

from apps.archive.models import Instance
from apps.conformance.document import Claim, Statement
from apps.conformance.outcome import Outcome
from apps.conformance.web_caller import Answer, Caller
from apps.conformance.web_claims import PROVOKED
from apps.conformance.web_samples import samples, samples_stored_in
from apps.errors import Unavailable
from apps.worklist.models import WorkItem

_ROOT: Final = "/dicom-web"
_NOBODY: Final = "2.25.1"  # no study and no work item has it
_EMPTY: Final = b"--b--\r\n"
_LEVELS: Final = {"PATIENT": "study", "STUDY": "study", "SERIES": "series", "IMAGE": "instance"}
_DATA_SET: Final = {"Content-Type": "application/dicom+json"}


def run(statement: Statement, web: Caller) -> Iterator[Outcome]:
    """Every claim about the web services that something stored allows to try.

    Raises Unavailable when the web server does not answer.
    """
    answer = web.ask("GET", f"{_ROOT}/openapi.json")
    if answer.status != _OK:
        # It takes no requests by this address, or sends them elsewhere.
        raise Unavailable(f"The web server answers {answer.status} at {web.base}.")
    for kind, test in _BY_KIND.items():
        if claims := statement.claims_of(kind):
            yield from test(claims, web)


def _transactions(claims: Iterable[Claim], web: Caller) -> Iterator[Outcome]:
    for claim in claims:
        facts = claim.facts
        found: tuple[bool, str] | None
        if facts["verb"] == "takes":
            found = _taken(facts, web)
        elif facts["method"] == "GET":
            found = _given(facts, web)
        else:
            found = _there(facts, web)
        if found is not None:
            yield Outcome(claim, *found)


def _given(facts: Mapping[str, Any], web: Caller) -> tuple[bool, str] | None:
    """The first sample that comes as the media type proves it; None where there is none to ask."""
    said = None
    for target in _targets(facts, web):
        answer = web.ask("GET", _ROOT + target, {"Accept": facts["media_type"]})
        if answer.status == _NO_CONTENT:
            continue
        expected = 426 if facts["name"] == "OpenEventChannel" else 200
        said = f"answered {answer.status} with {answer.media_type or 'no body'}"
        if answer.status == expected and _is(answer, facts["media_type"]):
            return True, said
    return None if said is None else (False, said)


_OK, _NO_CONTENT, _CONFLICT = 200, 204, 409


def _targets(facts: Mapping[str, Any], web: Caller) -> Iterator[str]:
    path = f"/{facts['path']}"
    if path.startswith("/workitems"):
        uids = WorkItem.objects.order_by("-pk").values_list("sop_instance_uid", flat=True)[:1]
        yield from (path.replace("{workitem}", quote(uid)) for uid in uids)
        return
    if "{transaction}" in path:
        return  # fetching a result is the promise to whoever asked: not ours to fetch
    if "{study}" not in path:
        yield path.replace("{aetitle}", "CONFORMANCE")
        return
    for each in samples(path, facts["media_type"]):
        filled = _filled(path, each)
        if "{element}" not in filled:
            yield filled
        elif bulk := _bulk_data(each, web):
            yield bulk


def _filled(path: str, instance: Instance) -> str:
    return (
        path.replace("{study}", quote(instance.study.study_instance_uid))
        .replace("{series}", quote(instance.series.series_instance_uid))
        .replace("{instance}", quote(instance.sop_instance_uid))
        .replace("{frames}", "1")
    )


_INSTANCE: Final = "/studies/{study}/series/{series}/instances/{instance}"
_METADATA: Final = f"{_INSTANCE}/metadata"
_RENDERED: Final = f"{_INSTANCE}/rendered"


def _bulk_data(instance: Instance, web: Caller) -> str:
    """Where the first bulk data of it is, below our root; `""` where there is none."""
    data_set = _json(web.ask("GET", _ROOT + _filled(_METADATA, instance), _JSON))
    for element in data_set[0].values() if data_set else ():
        if "BulkDataURI" in element:
            return urlsplit(str(element["BulkDataURI"])).path.partition(_ROOT)[2]
    return ""


def _is(answer: Answer, media_type: str) -> bool:
    """As asked; a type with parameters by its parameters' order and quotes too."""
    told = answer.media_type.replace('"', "")
    return told == media_type.replace('"', "")


def _taken(facts: Mapping[str, Any], web: Caller) -> tuple[bool, str]:
    """A body of the type with nothing in it is refused for that, and not for its type."""
    media_type = facts["media_type"]
    sent = f"{media_type}; boundary=b" if media_type.startswith("multipart") else media_type
    body = _EMPTY if media_type.startswith("multipart") else b""
    answer = web.ask(
        facts["method"], _ROOT + _of_nobody(facts["path"]), {"Content-Type": sent}, body
    )
    passed = answer.status in {400, 404, _CONFLICT}
    return (
        passed,
        f"an empty body of that type is answered {answer.status}. {_sentence(answer)}".strip(),
    )


def _there(facts: Mapping[str, Any], web: Caller) -> tuple[bool, str] | None:
    """Asked of what is not there; a transaction that is not offered would be answered 405."""
    if facts["verb"] == "gives" and facts["name"].startswith("Store"):
        return _answered_as(facts, web)
    answer = web.ask(facts["method"], _ROOT + _of_nobody(facts["path"]), _DATA_SET)
    said = f"of what is not there: {answer.status}: {_sentence(answer)}"
    return answer.status in {400, 404}, said


def _answered_as(facts: Mapping[str, Any], web: Caller) -> tuple[bool, str]:
    """Nothing sent as an instance: what the answer says of it comes as the type asked for."""
    headers = {"Content-Type": "application/dicom", "Accept": facts["media_type"]}
    answer = web.ask("POST", _ROOT + _of_nobody(facts["path"]), headers)
    said = f"an empty instance is answered {answer.status} with {answer.media_type}"
    return answer.status == _CONFLICT and _is(answer, facts["media_type"]), said


def _of_nobody(path: str) -> str:
    return "/" + path.replace("{study}", _NOBODY).replace("{series}", _NOBODY).replace(
        "{instance}", _NOBODY
    ).replace("{workitem}", _NOBODY).replace("{transaction}", _NOBODY).replace(
        "{aetitle}", "CONFORMANCE"
    )


def _by_uri(claims: Iterable[Claim], web: Caller) -> Iterator[Outcome]:
    for claim in claims:
        media_type = claim.facts["media_type"]
        said = None
        for sample in samples("/rendered", "image/png"):
            query = urlencode(
                {
                    "requestType": "WADO",
                    "studyUID": sample.study.study_instance_uid,
                    "seriesUID": sample.series.series_instance_uid,
                    "objectUID": sample.sop_instance_uid,
                    "contentType": media_type,
                }
            )
            answer = web.ask("GET", f"/wado?{query}")
            said = f"answered {answer.status} with {answer.media_type}"
            if answer.status == _OK and answer.media_type == media_type:
                yield Outcome(claim, True, said)
                break
        else:
            if said is not None:
                yield Outcome(claim, False, said)


def _keys(claims: list[Claim], web: Caller) -> Iterator[Outcome]:
    """Of one stored instance and what it belongs to; an empty archive leaves them untested."""
    sample = next(iter(samples("", "")), None)
    if sample is None:
        return
    for level in ("study", "series", "instance"):
        of_level = [each for each in claims if _LEVELS[each.facts["level"]] == level]
        target = _search(level, sample)
        usual = _first(web.ask("GET", target, _JSON))
        asked = ",".join(each.facts["keyword"] for each in of_level)
        every = _first(web.ask("GET", f"{target}&includefield={asked}", _JSON))
        for claim in of_level:
            yield _key(claim, target, usual, every, web)


_JSON: Final = {"Accept": "application/dicom+json"}


def _search(level: str, sample: Instance) -> str:
    study, series = quote(sample.study.study_instance_uid), quote(sample.series.series_instance_uid)
    if level == "study":
        return f"{_ROOT}/studies?StudyInstanceUID={study}"
    if level == "series":
        return f"{_ROOT}/studies/{study}/series?SeriesInstanceUID={series}"
    instance = quote(sample.sop_instance_uid)
    return f"{_ROOT}/studies/{study}/series/{series}/instances?SOPInstanceUID={instance}"


def _key(
    claim: Claim, target: str, usual: Mapping[str, Any], every: Mapping[str, Any], web: Caller
) -> Outcome:
    tag = f"{claim.facts['tag']:08X}"
    left_out = claim.facts["only_with_value"] and "Value" not in every.get(tag, {})
    returned = tag in (usual if claim.facts["always"] and not left_out else every)
    said = "returned" if returned else "not returned"
    value = _simple(every.get(tag, {}))
    keyword = claim.facts["keyword"]
    if not returned or not value or f"{keyword}=" in target:
        return Outcome(claim, returned, said)
    answer = web.ask("GET", f"{target}&{keyword}={quote(value, safe='')}", _JSON)
    found = answer.status == _OK and bool(_json(answer))
    return Outcome(claim, found, f"{said}, {'found' if found else 'not found'} by its value")


def _simple(element: Mapping[str, Any]) -> str:
    """Its only value as it is asked for; `""` where it has none, or one that would mean more.

    Decimal strings match as they were written, which JSON does not show.
    """
    values = element.get("Value", [])
    if len(values) != 1 or element.get("vr") in {"SQ", "DS"}:
        return ""
    value = values[0].get("Alphabetic", "") if isinstance(values[0], dict) else str(values[0])
    return "" if set(value) & set("*?\\,-") else value


def _first(answer: Answer) -> Mapping[str, Any]:
    return next(iter(_json(answer)), {})


def _json(answer: Answer) -> list[Any]:
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return []
    return found if isinstance(found, list) else []


def _frames(claims: Iterable[Claim], web: Caller) -> Iterator[Outcome]:
    for claim in claims:
        said = None
        for sample in samples_stored_in(claim.facts["uid"]):
            target = _filled(f"{_INSTANCE}/frames/1", sample)
            answer = web.ask("GET", _ROOT + target, {"Accept": claim.facts["asked"]})
            told = _part_type(answer.body)
            said = f"answered {answer.status} with {told or answer.media_type}"
            if answer.status == _OK and told.startswith(claim.facts["media_type"]):
                yield Outcome(claim, True, said)
                break
        else:
            if said is not None:
                yield Outcome(claim, False, said)


def _part_type(body: bytes) -> str:
    for line in body[:1000].split(b"\r\n"):
        if line.lower().startswith(b"content-type:"):
            return line.partition(b":")[2].strip().decode("latin-1")
    return ""


def _failures(claims: Iterable[Claim], web: Caller) -> Iterator[Outcome]:
    for claim in claims:
        method, target, headers, length = PROVOKED[claim.facts["key"]]
        if target == "{rendered}":
            sample = next(iter(samples("", "")), None)
            if sample is None:
                continue
            target = _filled(_RENDERED, sample)
        signed_in = claim.facts["key"] != "NotAuthenticated"
        answer = web.ask(method, _ROOT + target, headers, b" " * length, signed_in=signed_in)
        said = f"answered {answer.status}: {_sentence(answer)}"
        yield Outcome(claim, answer.status == claim.facts["status"], said)


def _sentence(answer: Answer) -> str:
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return answer.body[:100].decode("utf-8", "replace").strip()
    return str(said.get("message", "")) if isinstance(said, dict) else ""


_BY_KIND: Final[dict[str, Callable[[list[Claim], Caller], Iterator[Outcome]]]] = {
    "web": _transactions,
    "web-uri": _by_uri,
    "web-key": _keys,
    "web-frames": _frames,
    "web-failure": _failures,
}
KINDS: Final = frozenset(_BY_KIND)
