"""Rules over REST and in the admin: one way in, one event, and only for administrators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from apps.access.actions.keep_rule import keep_rule
from apps.access.models import User
from apps.access.principals import system_principal
from apps.api.rules import KINDS
from apps.archive.models import Study
from apps.errors import InvalidRequest
from apps.events.models import Event
from apps.forwarding.models import ForwardingRule, PrefetchRule
from apps.network.models import ApplicationEntity, NetworkPolicy, WebArchive, Webhook
from tests.domain.archive_rows import make_study
from tests.protocol.dimse.test_tls import Certificates

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
JSON = "application/json"
# Of an authority whose time was the year 2020.
EXPIRED = """
-----BEGIN CERTIFICATE-----
MIIBPTCB46ADAgECAgEBMAoGCCqGSM49BAMCMA4xDDAKBgNVBAMMA09sZDAeFw0y
MDAxMDEwMDAwMDBaFw0yMTAxMDEwMDAwMDBaMA4xDDAKBgNVBAMMA09sZDBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABDbXs2rHLRtLp0W5mT8wuEPEzNGeNgDdgScy
KfSpufrobimI21syJueZRykD7wcoEir2HubRw0UdVVV6BNOzttCjMjAwMA8GA1Ud
EwEB/wQFMAMBAf8wHQYDVR0OBBYEFKnX7/AO/n+Bh27dJArQDeu0EOm1MAoGCCqG
SM49BAMCA0kAMEYCIQCcx2ImgFoM00Ym8ljxq4BuHuLQNwGySE0gNVuJH4iHsAIh
ANp8DINiNUw8ER/NkJnBlXWiT2cpLNvyM4ofPbvP+3Bt
-----END CERTIFICATE-----
"""


def person(role: str) -> Client:
    user = User.objects.create_user(role, password="a long password", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


@pytest.fixture
def away() -> ApplicationEntity:
    return ApplicationEntity.objects.create(title="AWAY", host="127.0.0.1", port=104)


# TABLE: a kind, what makes one, what changes it.
BODIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "rules/forwarding": (
        {"name": "to away", "destination": "AWAY", "conditions": "ModalitiesInStudy=CT"},
        {"enabled": False},
    ),
    "rules/coercion": (
        {"name": "north", "operations": "set InstitutionName = North"},
        {"ae_titles": "CT1"},
    ),
    "rules/compression": (
        {"name": "old", "conditions": "Modality=CT", "older_than_days": 30},
        {"smallest_kb": 100},
    ),
    "private-attributes": (
        {"name": "dose", "creator": "ACME 1.1", "group": "0029", "element": "10", "vr": "DS"},
        {"level": "SERIES"},
    ),
    "rules/prefetch": ({"name": "priors", "peer": "AWAY"}, {"most": 5}),
    "rules/polarity": (
        {"source_ae_title": "CR1", "first_day": "2026-01-01", "reason": "inverted"},
        {"last_day": "2026-02-01"},
    ),
    "dicomweb-archives": (
        {"name": "north", "url": "https://north.example.org/dicom-web", "secret": "told-once"},
        {"description": "the other house"},
    ),
    "webhooks": ({"url": "https://example.org/hook"}, {"kinds": "StudyCompleted"}),
    "application-entities": (
        {"title": "CT9", "host": "10.0.0.9", "port": 104},
        {"forbidden_transfer_syntaxes": "JPEG Baseline (Process 1)"},
    ),
}


@pytest.mark.parametrize("path", list(KINDS))
def test_every_kind_is_listed_added_changed_and_removed_with_an_event_each(
    path: str, away: ApplicationEntity
) -> None:
    client = person("administrator")
    body, change = BODIES[path]
    url = f"/api/{path}/"
    made = client.post(url, body, content_type=JSON)
    assert made.status_code == 201, made.content
    key = made.json()["id"]
    assert key in [each["id"] for each in client.get(url).json()]
    changed = client.patch(f"{url}{key}/", change, content_type=JSON)
    assert changed.status_code == 200, changed.content
    assert client.get(f"{url}{key}/").json() | change == client.get(f"{url}{key}/").json()
    assert client.delete(f"{url}{key}/").status_code == 204
    assert client.get(f"{url}{key}/").status_code == 404
    told = [(each.kind, each.actor_name, each.door) for each in Event.objects.order_by("sequence")]
    assert len(told) == 3
    assert {each[1:] for each in told} == {("administrator", "api")}


@pytest.mark.parametrize("path", list(KINDS))
def test_nobody_but_an_administrator_sees_or_keeps_rules(path: str) -> None:
    client = person("technologist")
    assert client.get(f"/api/{path}/").status_code == 403
    assert client.post(f"/api/{path}/", {}, content_type=JSON).status_code == 403
    assert Client().get(f"/api/{path}/").status_code == 401


def test_a_rule_that_means_nothing_is_refused_in_words(away: ApplicationEntity) -> None:
    client = person("administrator")
    body = {"name": "wrong", "destination": "AWAY", "conditions": "Holiday=yes"}
    answer = client.post("/api/rules/forwarding/", body, content_type=JSON)
    assert answer.status_code == 400
    assert "is no condition" in answer.content.decode()
    body = {"title": "CT8", "match_address": True}
    answer = client.post("/api/application-entities/", body, content_type=JSON)
    assert (answer.status_code, "needs a host" in answer.json()["detail"]) == (400, True)
    with pytest.raises(InvalidRequest, match="already exists"):
        keep_rule(system_principal("test"), ApplicationEntity(title="AWAY"))


def test_a_peer_that_rules_need_is_not_removed(away: ApplicationEntity) -> None:
    """Its rules would go without anybody having removed them."""
    client = person("administrator")
    body = {"name": "to away", "destination": "AWAY"}
    rule = client.post("/api/rules/forwarding/", body, content_type=JSON).json()["id"]
    prefetch = {"name": "priors", "peer": "AWAY"}
    assert client.post("/api/rules/prefetch/", prefetch, content_type=JSON).status_code == 201
    one = f"/api/application-entities/{away.pk}/"
    refused = client.delete(one)
    said = "AWAY is needed by forwarding rule to away, prefetch rule priors: remove that first."
    assert (refused.status_code, refused.json()["detail"]) == (409, said)
    page = client.post(f"/admin/network/applicationentity/{away.pk}/delete/", {"post": "yes"})
    assert (page.status_code, "to away" in page.content.decode()) == (200, True)
    assert ApplicationEntity.objects.filter(title="AWAY").exists()
    assert client.delete(f"/api/rules/forwarding/{rule}/").status_code == 204
    PrefetchRule.objects.all().delete()
    assert client.delete(one).status_code == 204
    kinds = list(Event.objects.order_by("sequence").values_list("kind", flat=True))
    assert kinds[2:] == ["ForwardingRuleRemoved", "ApplicationEntityRemoved"]


def test_an_archives_certificates_are_looked_at_when_they_are_entered(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    made.authority()
    authority, key = ((tmp_path / name).read_text() for name in ("ca.pem", "ca.key"))
    client, path = person("administrator"), "/api/dicomweb-archives/"
    body = {"name": "north", "url": "https://north.example.org/dicom-web"}
    for wrong, words in (
        ({"authorities": "trust me"}, "There is no certificate in it"),
        ({"authorities": authority + key}, "private keys stay elsewhere"),
        ({"authorities": authority.replace("M", "N")}, "cannot be read"),
        ({"authorities": EXPIRED}, "have expired"),
        ({"authorities": authority, "url": "http://north.example.org"}, "with https alone"),
        ({"shows_certificate": True}, "no certificate to show: PACSWEB_DICOM_TLS_CERTIFICATE"),
    ):
        refused = client.post(path, {**body, **wrong}, content_type=JSON)
        assert (refused.status_code, words in refused.json()["detail"]) == (400, True), refused.text
    assert not WebArchive.objects.exists()
    added = client.post(path, {**body, "authorities": authority}, content_type=JSON)
    assert (added.status_code, added.json()["authorities"]) == (201, authority.strip())
    page = client.get(f"/admin/network/webarchive/{added.json()['id']}/change/")
    assert "commonName=Test ca, until 2" in page.content.decode()
    one = f"{path}{added.json()['id']}/"
    # The scheme alone changed: what was to be checked would silently not be checked any more.
    refused = client.patch(one, {"url": "http://north.example.org/dicom-web"}, content_type=JSON)
    assert (refused.status_code, "with https alone" in refused.json()["detail"]) == (400, True)


def test_a_webhooks_secret_is_told_once_and_never_in_an_event() -> None:
    client = person("administrator")
    made = client.post("/api/webhooks/", {"url": "https://example.org/h"}, content_type=JSON)
    secret = Webhook.objects.get().secret
    assert made.json()["secret"] == secret
    assert secret not in client.get("/api/webhooks/").content.decode()
    assert secret not in str(list(Event.objects.values_list("payload", flat=True)))


def test_an_archives_secret_is_never_told_and_goes_nowhere_else(tmp_path: Path) -> None:
    Certificates(tmp_path).authority()
    authority = (tmp_path / "ca.pem").read_text()
    client = person("administrator")
    body = {"name": "north", "url": "https://north.example.org/dw", "secret": "hush-hush"}
    made = client.post("/api/dicomweb-archives/", body, content_type=JSON)
    assert (made.status_code, made.json()["has_secret"]) == (201, True)
    one = f"/api/dicomweb-archives/{made.json()['id']}/"
    form = f"/admin/network/webarchive/{made.json()['id']}/change/"
    for change, status in (
        ({"url": "https://north.example.org/dicom-web"}, 200),
        ({"url": "http://north.example.org/dicom-web"}, 400),
        ({"url": "https://else.example.org/dw"}, 400),
        ({"authorities": authority}, 400),
        ({"url": "https://else.example.org/dw", "secret": "another-one"}, 200),
        ({"authorities": authority, "secret": "another-one"}, 200),
        ({"authorities": f"\n{authority}", "description": "same authority"}, 200),
        ({"authorities": ""}, 400),
    ):
        assert client.patch(one, change, content_type=JSON).status_code == status, change
    shown = {
        "name": "north",
        "url": "https://evil.example.org/dw",
        "secret": "",
        "enabled": "on",
        "parallel_transfers": "2",
        "authorities": authority.replace("\n", "\r\n"),
    }
    here = {"url": "https://else.example.org/x"}
    for change in ({}, here | {"authorities": ""}):
        refused = client.post(form, shown | change)
        assert (refused.status_code, "give it again" in refused.content.decode()) == (200, True)
    assert client.post(form, shown | here).status_code == 302
    assert WebArchive.objects.get().secret == "another-one"
    told = [client.get(each).content.decode() for each in (one, "/api/dicomweb-archives/", form)]
    told += [str(list(Event.objects.values_list("payload", flat=True))), made.content.decode()]
    assert not [text for text in told if "hush-hush" in text or "another-one" in text]
    assert client.post(form, shown | here | {"remove_secret": "on"})
    assert WebArchive.objects.get().secret == ""


def test_a_forwarding_rule_leads_to_a_peer_or_to_an_archive(away: ApplicationEntity) -> None:
    client = person("administrator")
    WebArchive.objects.create(name="north", url="https://north.example.org/dw")
    url = "/api/rules/forwarding/"
    for named, status in (
        ({}, 400), ({"archive": "north", "destination": "AWAY"}, 400), ({"archive": "no"}, 400),
        ({"archive": "north"}, 201),
    ):  # fmt: skip
        made = client.post(url, {"name": "x", **named}, content_type=JSON)
        assert made.status_code == status, made.content
    row = made.json()
    assert (row["archive"], row["destination"]) == ("north", None)
    held = client.delete(f"/api/dicomweb-archives/{WebArchive.objects.get().pk}/")
    assert held.status_code == 409
    change = {"archive": None, "destination": "AWAY"}
    moved = client.patch(f"{url}{row['id']}/", change, content_type=JSON)
    assert (moved.status_code, moved.json()["destination"]) == (200, "AWAY")


def test_what_could_not_be_kept_is_not_tried_either(away: ApplicationEntity) -> None:
    """A study to send, so that the rule is asked about it."""
    Study.objects.filter(pk=make_study().pk).update(completed_at=timezone.now())
    admin = person("administrator")
    for kind, body in (("forwarding", {}), ("compression", {"older_than_days": 2**62})):
        path = f"/api/rules/{kind}/preview/"
        response = admin.post(path, body, content_type=JSON)
        assert response.status_code == 400, response.content
    rule = {"destination": away.title}
    assert admin.post("/api/rules/forwarding/preview/", rule, content_type=JSON).status_code == 200


def test_for_ever_is_a_century(away: ApplicationEntity) -> None:
    with pytest.raises(InvalidRequest, match="36500"):
        keep_rule(system_principal("test"), NetworkPolicy(keep_associations_days=10_000_000))


@pytest.mark.parametrize("kind", ["forwardingrule", "prefetchrule"])
def test_a_rule_that_leads_nowhere_is_told_so_once(kind: str) -> None:
    page = person("administrator").post(
        f"/admin/forwarding/{kind}/add/", {"name": "x", "years": 5, "most": 3}
    )
    assert page.content.decode().count("or else a DICOMweb archive.</li>") == 1


def test_a_private_key_pasted_among_authorities_is_not_sent_back(tmp_path: Path) -> None:
    Certificates(tmp_path).authority()
    pem, key = ((tmp_path / name).read_text().strip() for name in ("ca.pem", "ca.key"))
    inside = key.splitlines()[1]
    form = {"name": "x", "url": "https://x.example/dw", "parallel_transfers": 2}
    page = person("administrator").post(
        "/admin/network/webarchive/add/", form | {"authorities": f"Ours {pem}\n{key}\n"}
    )
    told = page.content.decode()
    assert "private keys stay elsewhere" in told
    assert pem.splitlines()[1] in told
    assert inside not in told
    assert not WebArchive.objects.exists()


def test_a_name_below_remotes_leads_to_one_archive(away: ApplicationEntity) -> None:
    client = person("administrator")
    body = {"name": "AWAY", "url": "https://north.example.org/dw"}
    refused = client.post("/api/dicomweb-archives/", body, content_type=JSON)
    assert (refused.status_code, "AE title" in refused.json()["detail"]) == (400, True)
    body["name"] = "NORTH"
    assert client.post("/api/dicomweb-archives/", body, content_type=JSON).status_code == 201
    body = {"title": "NORTH"}
    refused = client.post("/api/application-entities/", body, content_type=JSON)
    assert (refused.status_code, "has this name" in refused.json()["detail"]) == (400, True)


def test_a_webhooks_secret_is_not_in_its_form() -> None:
    client = person("administrator")
    made = client.post("/api/webhooks/", {"url": "https://example.org/h"}, content_type=JSON)
    secret = made.json()["secret"]
    form = f"/admin/network/webhook/{made.json()['id']}/change/"
    assert secret not in client.get(form).content.decode()
    body = {
        "url": "https://example.org/other",
        "secret": "",
        "enabled": "on",
        "parallel_transfers": "2",
    }
    assert client.post(form, body).status_code == 302
    assert Webhook.objects.get().secret == secret


def test_saving_in_the_admin_leaves_an_event_and_saving_nothing_new_leaves_none(
    away: ApplicationEntity,
) -> None:
    client = person("administrator")
    form = {"name": "night", "destination": away.pk, "enabled": "on", "conditions": ""}
    add = "/admin/forwarding/forwardingrule/add/"
    assert client.post(add, form).status_code == 302
    rule = ForwardingRule.objects.get()
    change = f"/admin/forwarding/forwardingrule/{rule.pk}/change/"
    assert client.post(change, form).status_code == 302
    assert client.post(change, form | {"sources": "CT1"}).status_code == 302
    kinds = Event.objects.order_by("sequence").values_list("kind", "door", "payload")
    assert [each[:2] for each in kinds] == [
        ("ForwardingRuleAdded", "admin"),
        ("ForwardingRuleChanged", "admin"),
    ]
    assert kinds[1][2] == {
        "id": rule.pk,
        "name": "night",
        "changed": ["sources"],
        "values": {"sources": "CT1"},
    }
    assert client.get("/admin/network/networkpolicy/", follow=True).status_code == 200
    policy = {"unknown_callers": "refuse", "max_associations": 50, "keep_associations_days": 30}
    policy |= {"keep_associations_most": 100_000}
    assert client.post("/admin/network/networkpolicy/1/change/", policy).status_code == 302
    assert NetworkPolicy.objects.get().max_associations == 50
    assert Event.objects.filter(kind="NetworkPolicyChanged").count() == 1


def test_rules_are_in_the_openapi_document() -> None:
    schema = person("administrator").get("/api/schema/", HTTP_ACCEPT=JSON).json()
    for path in KINDS:
        assert {"get", "post"} <= schema["paths"][f"/api/{path}/"].keys()
        assert {"get", "patch", "delete"} <= schema["paths"][f"/api/{path}/{{key}}/"].keys()


@pytest.mark.parametrize("url", ["http://[", "https://[1/x", "https://north.example.org:99999/x"])
def test_an_address_that_cannot_be_taken_apart_is_refused_in_words(url: str) -> None:
    client, path = person("administrator"), "/api/dicomweb-archives/"
    body = {"name": "NORTH", "url": "https://north.example.org", "secret": "letters"}
    made = client.post(path, body, content_type=JSON)
    answers = [
        client.post(path, {"name": "SOUTH", "url": url}, content_type=JSON),
        client.patch(f"{path}{made.json()['id']}/", {"url": url}, content_type=JSON),
        client.patch(f"{path}{made.json()['id']}/", {**body, "url": url}, content_type=JSON),
        client.post("/api/webhooks/", {"url": url}, content_type=JSON),
    ]
    assert [each.status_code for each in answers] == [400] * 4
