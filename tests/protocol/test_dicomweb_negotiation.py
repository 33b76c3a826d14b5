"""Accept (PS3.18 8.7) and public links, without a server."""

from __future__ import annotations

import dataclasses

import pytest
from django.conf import settings as django_settings
from django.test import RequestFactory

from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    Offer,
    acceptable,
    accepts_gzip,
    choose,
    parse_accept,
)
from apps.errors import InvalidRequest, NotAcceptable

JSON, XML = Offer(DICOM_JSON), Offer(DICOM_XML, multipart=True)


def asked(accept: str | None = None, query: str = "", **headers: str):
    meta = dict(headers)
    if accept is not None:
        meta["HTTP_ACCEPT"] = accept
    return RequestFactory().get("/dicom-web/studies" + query, **meta)


def test_WAD_01_no_accept_is_taken_as_anything():
    assert choose(acceptable(asked()), (JSON, XML))[0] is JSON


def test_WAD_02_dicom_and_rendered_in_one_list_is_an_error():
    with pytest.raises(InvalidRequest):
        acceptable(asked('multipart/related; type="application/dicom", image/jpeg'))


def test_WAD_02_a_browser_may_accept_pictures_and_anything():
    assert acceptable(asked("image/avif,image/webp,*/*;q=0.8"))


def test_WAD_03_q_values_are_honoured():
    header = 'application/dicom+json;q=0.2, multipart/related; type="application/dicom+xml";q=0.9'
    assert choose(acceptable(asked(header)), (JSON, XML))[0] is XML


def test_WAD_03_q_zero_is_a_refusal():
    with pytest.raises(NotAcceptable):
        choose(acceptable(asked("application/dicom+json;q=0")), (JSON,))


def test_WAD_03_the_query_parameter_ranks_above_the_header():
    request = asked(DICOM_JSON, "?accept=multipart/related;%20type=%22application/dicom%2Bxml%22")
    assert choose(acceptable(request), (JSON, XML))[0] is XML


def test_WAD_03_what_only_the_header_accepts_is_the_second_choice():
    request = asked(DICOM_JSON, "?accept=image/png")
    assert choose(acceptable(request), (JSON, XML))[0] is JSON


def test_a_plus_that_was_not_encoded_is_understood():
    assert choose(acceptable(asked("x/y", "?accept=application/dicom+json")), (JSON,))[0] is JSON


def test_WAD_04_anything_is_the_default():
    assert choose(acceptable(asked("*/*")), (XML, JSON))[0] is XML


@pytest.mark.parametrize(
    "header",
    [
        'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90',
        "multipart/related;type=application/dicom;transfer-syntax=1.2.840.10008.1.2.4.90",
        'Multipart/Related; Type="Application/DICOM"; Transfer-Syntax="1.2.840.10008.1.2.4.90"',
    ],
)
def test_WAD_07_quoting_and_case_of_parameters(header):
    entry = parse_accept(header)[0]
    assert (entry.part_type, entry.transfer_syntax) == (DICOM, "1.2.840.10008.1.2.4.90")


def test_QID_16_unknown_entries_are_ignored():
    header = 'multipart/related; type="x/y, z"; weird, nonsense, application/dicom+json'
    assert choose(acceptable(asked(header)), (JSON, XML))[0] is JSON


def test_QID_16_not_acceptable_only_when_nothing_remains():
    with pytest.raises(NotAcceptable) as failure:
        choose(acceptable(asked("text/csv, nonsense")), (JSON, XML))
    assert "application/dicom+json" in failure.value.message


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("gzip, deflate, br, zstd", True),
        ("gzip;q=0", False),
        ("br", False),
        ("*", True),
        ("*, gzip;q=0", False),
        ("", False),
    ],
)
def test_gzip_is_sent_to_those_who_take_it(header, wanted):
    assert accepts_gzip(asked(HTTP_ACCEPT_ENCODING=header)) is wanted


@pytest.fixture
def environment(monkeypatch):
    def change(**values):
        changed = dataclasses.replace(django_settings.PACSWEB, **values)
        monkeypatch.setattr(django_settings, "PACSWEB", changed)
        from apps.access.addresses import is_trusted_proxy

        is_trusted_proxy.cache_clear()

    yield change
    from apps.access.addresses import is_trusted_proxy

    is_trusted_proxy.cache_clear()


def test_the_configured_url_wins(environment):
    environment(public_url="https://pacs.example/hospital")
    request = asked(HTTP_HOST="internal:8000", HTTP_X_FORWARDED_HOST="elsewhere")
    assert base_url(request) == "https://pacs.example/hospital/dicom-web"


def test_host_without_port_gets_the_sockets_port(environment):
    environment(public_url="")
    assert base_url(asked(HTTP_HOST="localhost", SERVER_PORT="27001")) == (
        "http://localhost:27001/dicom-web"
    )
    assert base_url(asked(HTTP_HOST="localhost", SERVER_PORT="80")) == "http://localhost/dicom-web"
    assert base_url(asked(HTTP_HOST="localhost:81", SERVER_PORT="27001")) == (
        "http://localhost:81/dicom-web"
    )
    assert base_url(asked(HTTP_HOST="[::1]", SERVER_PORT="27001")) == "http://[::1]:27001/dicom-web"


def test_WAD_11_a_trusted_proxy_is_believed(environment):
    environment(public_url="", trusted_proxies=("10.0.0.0/8",))
    proxy = {"REMOTE_ADDR": "10.1.2.3", "HTTP_HOST": "internal"}
    forwarded = asked(**proxy, HTTP_FORWARDED='for=1.2.3.4;proto=https;host="pacs.example:8443"')
    assert base_url(forwarded) == "https://pacs.example:8443/dicom-web"
    old = asked(
        **proxy,
        HTTP_X_FORWARDED_PROTO="https",
        HTTP_X_FORWARDED_HOST="pacs.example",
        HTTP_X_FORWARDED_PORT="8443",
        HTTP_X_FORWARDED_PREFIX="/radiology/",
    )
    assert base_url(old) == "https://pacs.example:8443/radiology/dicom-web"
    only_path = asked(
        REMOTE_ADDR="10.1.2.3", HTTP_HOST="pacs.example", HTTP_X_FORWARDED_PREFIX="/a"
    )
    assert base_url(only_path) == "http://pacs.example/a/dicom-web"
    both = asked(**proxy, HTTP_FORWARDED="host=pacs.example", HTTP_X_FORWARDED_PREFIX="/a")
    assert base_url(both) == "http://pacs.example/a/dicom-web"
    empty = asked(**proxy, HTTP_FORWARDED=",", HTTP_X_FORWARDED_PORT="9")
    assert base_url(empty) == "http://internal/dicom-web"


def test_nobody_else_is_believed(environment):
    environment(public_url="", trusted_proxies=("10.0.0.0/8",))
    request = asked(
        REMOTE_ADDR="192.0.2.1",
        HTTP_HOST="pacs.example",
        SERVER_PORT="8000",
        HTTP_X_FORWARDED_HOST="evil.example",
        HTTP_X_FORWARDED_PROTO="https",
    )
    # Something forwards, so the socket's port is not the client's.
    assert base_url(request) == "http://pacs.example/dicom-web"


@pytest.mark.parametrize("host", ["evil example", 'x"><script>', "a/b", "x:99999999"])
def test_a_forwarded_host_that_is_none_is_not_used(environment, host):
    environment(public_url="", trusted_proxies=("127.0.0.1",))
    request = asked(REMOTE_ADDR="127.0.0.1", HTTP_HOST="pacs.example", HTTP_X_FORWARDED_HOST=host)
    assert base_url(request) == "http://pacs.example/dicom-web"
