"""Prepared metadata: what is joined without inflating is what the pieces say."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.archive.fragments import join_gzip, join_plain, pack, plain
from apps.dicom.reader import InstanceReader
from tests.standards.sources import held

TEXT = st.binary(max_size=300) | st.binary(max_size=40).map(lambda raw: raw * 500)
ADDRESS = st.binary(max_size=450).map(lambda rest: b"/studies/1.2/series/1.3/instances/" + rest)
PIECES = st.lists(TEXT | ADDRESS, min_size=1, max_size=6).map(tuple)
URL = st.text("abcdefghijklmnopqrstuvwxyz:/.-0123456789", max_size=80).map(str.encode)


@given(st.lists(PIECES, max_size=8), URL)
@settings(deadline=None)
def test_gzip_and_plain_say_the_same_for_any_bytes(instances, url):
    fragments = [pack(pieces) for pieces in instances]
    text = b"[" + b",".join(url.join(pieces) for pieces in instances) + b"]"
    assert b"".join(join_plain(fragments, url)) == text
    joined = b"".join(join_gzip(fragments, url))
    assert gzip.decompress(joined) == text
    inflater = zlib.decompressobj(31)
    assert inflater.decompress(joined) == text
    assert inflater.eof  # one member, nothing behind it
    assert inflater.unused_data == b""


@given(PIECES, URL)
def test_one_instance_alone(pieces, url):
    assert plain(pack(pieces), url) == url.join(pieces)


def test_a_fragment_follows_from_its_pieces_alone():
    """Whatever was packed before by the same thread, and whether it succeeded."""
    pieces = (b'{"a":"' + b"1.2.840.10008" * 40, b'"}')
    first = pack(pieces)
    assert pack((b"1.2.840.10008" * 9000,)) != first
    assert pack(pieces) == first
    with pytest.raises(TypeError):
        pack((b"left behind", "no bytes"))  # type: ignore[arg-type]  # on purpose
    assert pack(pieces) == first
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: pack(pieces), range(200))) == {first}


@pytest.mark.parametrize("length", [0, 1, 4095, 4096, 4097, 70_000])
def test_pieces_of_any_length_may_stand_behind(length):
    pieces = (b"first" * 7, b"x" * length, b"z")
    joined = b"".join(join_gzip([pack(pieces)] * 2, b"url"))
    assert gzip.decompress(joined) == b"[" + b",".join([b"url".join(pieces)] * 2) + b"]"


def test_urls_longer_than_a_stored_block():
    pieces = (b'{"a":"', b'"}')
    url = b"u" * 200_000
    joined = b"".join(join_gzip([pack(pieces)] * 3, url))
    assert gzip.decompress(joined) == b"[" + b",".join([url.join(pieces)] * 3) + b"]"


def test_a_fragment_from_the_database_may_be_a_memoryview():
    fragment = memoryview(pack((b"{", b"}")))
    assert plain(fragment, b"x") == b"{x}"
    assert gzip.decompress(b"".join(join_gzip([fragment], b"x"))) == b"[{x}]"


def test_other_bytes_are_no_fragment():
    with pytest.raises(ValueError, match="no metadata fragment"):
        plain(b"something else entirely")


@pytest.fixture(scope="module")
def series(corpus: Path) -> list[bytes]:
    paths = sorted((corpus / "dicom" / "series-ct-head").iterdir())
    return [pack(InstanceReader(held(path)).scan().json) for path in paths]


def test_a_real_series_is_valid_json_and_valid_gzip(series, tmp_path):
    url = b"https://pacs.example/dicom-web"
    joined = b"".join(join_gzip(series, url))
    dicom_json = json.loads(gzip.decompress(joined))
    assert dicom_json == json.loads(b"".join(join_plain(series, url)))
    assert len(dicom_json) == len(series)
    for instance in dicom_json:
        uri = instance["7FE00010"]["BulkDataURI"]
        assert uri.startswith("https://pacs.example/dicom-web/studies/")
        assert uri.endswith(f"/instances/{instance['00080018']['Value'][0]}/bulkdata/7FE00010")
    path = tmp_path / "series.json.gz"
    path.write_bytes(joined)
    program = shutil.which("gzip")
    assert program is not None
    subprocess.run([program, "-t", str(path)], check=True)


def test_joining_neither_inflates_nor_compresses(series, monkeypatch):
    expected = b"".join(join_gzip(series, b"http://x"))

    def forbidden(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the point is not to")

    for name in ("compressobj", "compress", "decompressobj", "decompress"):
        monkeypatch.setattr(f"apps.archive.fragments.zlib.{name}", forbidden)
    assert b"".join(join_gzip(series, b"http://x")) == expected


def test_joining_five_hundred_real_instances_takes_milliseconds(series):
    many = (series * 10)[:500]

    def seconds() -> float:
        begun = time.process_time()
        b"".join(join_gzip(many, b"http://x"))
        return time.process_time() - begun

    def inflating() -> float:
        begun = time.process_time()
        gzip.compress(b"".join(join_plain(many, b"http://x")), 6)
        return time.process_time() - begun

    assert min(seconds() for _ in range(5)) < min(inflating() for _ in range(3))


def test_chunks_are_bounded(series):
    chunks = list(join_gzip(series * 40, b"http://x"))
    assert len(chunks) > 2
    assert max(map(len, chunks)) < 300_000
