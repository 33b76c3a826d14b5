"""One contract, two implementations: every test here runs on a local folder and on S3 over HTTP."""

from __future__ import annotations

import errno
import http.server
import os
import resource
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import boto3
import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from apps.errors import OutOfResources, Unavailable
from apps.storage import filesystem, medium
from apps.storage.blobs import CHUNK, BlobMissing, BlobStore, valid_key
from apps.storage.durable import as_pacs_error
from apps.storage.filesystem import FilesystemStore
from apps.storage.medium import open_medium
from apps.storage.s3 import S3Store
from apps.storage.stores import blob_store, store_from_url


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    variables = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="blobs")
    yield endpoint
    server.stop()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "file":
        return store_from_url(f"file://{tmp_path}/blobs%20here")
    endpoint = request.getfixturevalue("s3_endpoint")
    prefix = f"archive/{tmp_path.name}"
    return store_from_url(f"s3://blobs/{prefix}?endpoint_url={endpoint}&region=us-east-1")


def made(folder: Path, body: bytes, name: str = "source") -> Path:
    path = folder / name
    path.write_bytes(body)
    return path


def test_a_placed_file_is_read_back_in_every_way(store: BlobStore, tmp_path: Path):
    body = os.urandom(2 * CHUNK + 17)
    source = made(tmp_path, body)
    store.place("instances/2026/a.b-c_d", source)

    assert source.read_bytes() == body
    assert store.size("instances/2026/a.b-c_d") == len(body)
    assert store.read_at("instances/2026/a.b-c_d", 5, 10) == body[5:15]
    assert store.read_at("instances/2026/a.b-c_d", len(body) - 3, 10) == body[-3:]
    assert store.read_at("instances/2026/a.b-c_d", len(body) + 3, 10) == b""
    assert store.read_at("instances/2026/a.b-c_d", 5, 0) == b""
    chunks = list(store.stream("instances/2026/a.b-c_d"))
    assert b"".join(chunks) == body
    assert max(map(len, chunks)) <= CHUNK
    assert b"".join(store.stream("instances/2026/a.b-c_d", 7, 100)) == body[7:107]
    assert b"".join(store.stream("instances/2026/a.b-c_d", len(body) - 2, 100)) == body[-2:]
    assert b"".join(store.stream("instances/2026/a.b-c_d", len(body) + 2)) == b""
    assert b"".join(store.stream("instances/2026/a.b-c_d", 2, 0)) == b""
    blob = store.open("instances/2026/a.b-c_d")
    assert blob.size == len(body)
    assert blob.read_at(CHUNK, 4) == body[CHUNK : CHUNK + 4]
    assert blob.read_at(len(body) - 1, 4) == body[-1:]
    assert blob.read_at(len(body) + 1, 4) == b""
    blob.close()
    blob.close()


@pytest.mark.parametrize("length", [0, 1, 4096, CHUNK + 3])
@pytest.mark.parametrize(("before", "after"), [(b"", b""), (b"--edge\r\n\r\n", b"\r\n--edge--")])
def test_a_range_is_read_between_other_bytes(
    store: BlobStore, tmp_path: Path, length: int, before: bytes, after: bytes
):
    body = os.urandom(CHUNK + 10)
    store.place("a", made(tmp_path, body))
    found = store.read_between("a", 7, length, before, after)
    assert type(found) is bytes
    assert found == before + body[7 : 7 + length] + after
    # A range that the blob does not have is not made up of zeros.
    assert store.read_between("a", 7, len(body) - 6, before, after) is None
    assert store.read_between("a", len(body) + 1, 1, before, after) is None
    store.delete("a")
    with pytest.raises(BlobMissing):
        store.read_between("a", 7, length + 1, before, after)


def test_removing_the_source_leaves_the_blob(store: BlobStore, tmp_path: Path):
    source = made(tmp_path, b"bytes")
    store.place("a", source)
    source.unlink()
    assert store.read_at("a", 0, 5) == b"bytes"


def test_the_first_bytes_of_a_key_stay(store: BlobStore, tmp_path: Path):
    store.place("a", made(tmp_path, b"first"))
    store.place("a", made(tmp_path, b"first", "again"))
    store.place("a", made(tmp_path, b"second", "other"))
    store.put("a", BytesIO(b"third"))
    store.place("b", made(tmp_path, b"fourth", "b"))
    store.copy("b", "a")
    assert b"".join(store.stream("a")) == b"first"


def test_many_are_placed_together(store: BlobStore, tmp_path: Path):
    sources = [(f"many/{n % 3}/{n}", made(tmp_path, b"%d" % n, f"s{n}")) for n in range(20)]
    store.place_all(sources)
    store.place_all([])
    assert {key: b"".join(store.stream(key)) for key, _ in sources} == {
        f"many/{n % 3}/{n}": b"%d" % n for n in range(20)
    }


def test_a_stream_becomes_a_blob(store: BlobStore):
    body = os.urandom(CHUNK + 3)
    store.put("put/it", BytesIO(body))
    assert b"".join(store.stream("put/it")) == body


def test_an_empty_blob_is_a_blob(store: BlobStore):
    store.put("empty", BytesIO(b""))
    assert store.size("empty") == 0
    assert list(store.stream("empty")) == []


def test_a_copy_is_independent(store: BlobStore, tmp_path: Path):
    store.place("a", made(tmp_path, b"bytes"))
    store.copy("a", "elsewhere/b")
    store.delete("a")
    assert store.read_at("elsewhere/b", 0, 9) == b"bytes"


def test_what_is_missing_says_so(store: BlobStore, tmp_path: Path):
    store.place("a", made(tmp_path, b"bytes"))
    for key in ["nothing", "a/below", "no/such/folder"]:
        with pytest.raises(BlobMissing):
            store.open(key)
        with pytest.raises(BlobMissing):
            store.size(key)
        with pytest.raises(BlobMissing):
            store.read_at(key, 0, 1)
        with pytest.raises(BlobMissing):
            store.stream(key)
        with pytest.raises(BlobMissing):
            store.copy(key, "target")


def test_deleting_twice_is_no_error(store: BlobStore, tmp_path: Path):
    store.place("a", made(tmp_path, b"bytes"))
    store.delete("a")
    store.delete("a")
    assert list(store.keys()) == []


def test_keys_by_prefix(store: BlobStore, tmp_path: Path):
    source = made(tmp_path, b"bytes")
    every = {"x/1/a", "x/1/ab", "x/2/a", "xy/a", "z"}
    store.place_all([(key, source) for key in every])
    assert set(store.keys()) == every
    assert set(store.keys("x/")) == {"x/1/a", "x/1/ab", "x/2/a"}
    assert set(store.keys("x/1/a")) == {"x/1/a", "x/1/ab"}
    assert set(store.keys("x")) == every - {"z"}
    assert set(store.keys("nothing/here")) == set()


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/../b", ".hidden", "a/.b", "a b", "ä", "a\\b", "a\n"]
)
def test_keys_that_could_leave_the_store_are_refused(store: BlobStore, tmp_path: Path, key: str):
    with pytest.raises(ValueError, match="not a blob key"):
        store.place(key, made(tmp_path, b"x"))
    with pytest.raises(ValueError, match="not a blob key"):
        store.read_at(key, 0, 1)
    with pytest.raises(ValueError, match="not a blob key"):
        store.delete(key)
    with pytest.raises(ValueError, match="not a blob key"):
        store.local_path(key)


@given(st.text())
def test_a_valid_key_stays_below_the_root(key: str):
    try:
        valid_key(key)
    except ValueError:
        return
    path = Path(os.path.normpath(Path("/root/of/blobs") / key))
    assert path.is_relative_to("/root/of/blobs")
    assert str(path) == f"/root/of/blobs/{key}"


def test_a_local_file_exists_only_locally(store: BlobStore, tmp_path: Path):
    store.place("a", made(tmp_path, b"bytes"))
    path = store.local_path("a")
    if isinstance(store, FilesystemStore):
        assert path is not None
        assert path.read_bytes() == b"bytes"
    else:
        assert path is None


# --- what only one of them has to care about ---------------------------------------------------


def test_placing_on_the_same_file_system_copies_nothing(tmp_path: Path):
    source = made(tmp_path, b"bytes")
    store = FilesystemStore(tmp_path / "blobs")
    store.place("a", source)
    assert store.local_path("a").samefile(source)


def test_placing_across_devices_copies(tmp_path: Path):
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm on a device of its own")
    source = memory / f"pacsweb-test-{os.getpid()}"
    try:
        source.write_bytes(b"far away" * CHUNK)
        store = FilesystemStore(tmp_path / "blobs")
        store.place("a/b", source)
        store.place("a/b", source)
        assert b"".join(store.stream("a/b")) == b"far away" * CHUNK
        assert list((tmp_path / "blobs" / ".unfinished").iterdir()) == []
    finally:
        source.unlink()


def test_no_room_is_out_of_resources_and_leaves_nothing(tmp_path: Path):
    store = FilesystemStore(tmp_path / "blobs")
    store.put("small", BytesIO(b"x"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OutOfResources, match="no room"):
            store.put("large", BytesIO(b"x" * 10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert set(store.keys()) == {"small"}
    assert list((tmp_path / "blobs" / ".unfinished").iterdir()) == []


def test_a_broken_disk_is_unavailable(tmp_path: Path):
    (tmp_path / "blobs").write_text("a file where the folder should be")
    store = FilesystemStore(tmp_path / "blobs")
    source = made(tmp_path, b"bytes")
    with pytest.raises(Unavailable):
        store.place("a/b", source)
    with pytest.raises(Unavailable):
        store.place("c", tmp_path / "no such source")
    assert source.read_bytes() == b"bytes"


def test_a_source_that_is_not_there_is_unavailable(tmp_path: Path):
    with pytest.raises(Unavailable):
        FilesystemStore(tmp_path / "blobs").place("a", tmp_path / "nowhere")


def test_a_long_read_is_put_together_from_what_the_system_gives_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(filesystem, "_ONE_READ", 10)
    store = FilesystemStore(tmp_path)
    store.put("a", BytesIO(bytes(range(95))))
    assert store.read_at("a", 0, 95) == bytes(range(95))
    assert store.read_at("a", 3, 20) == bytes(range(3, 23))
    assert store.read_at("a", 3, 25) == bytes(range(3, 28))
    assert store.read_at("a", 90, 50) == bytes(range(90, 95))
    assert store.read_at("a", 60, 50) == bytes(range(60, 95))


@pytest.mark.parametrize("length", [0, 1, 640 << 10, (640 << 10) + 1, (2 << 20) + 17])
@pytest.mark.parametrize("keep_cached", [False, True])
def test_what_is_read_back_from_the_medium_is_all_of_it(
    store: BlobStore, length: int, keep_cached: bool
):
    body = os.urandom(length)
    store.put("whole", BytesIO(body))
    chunks = list(store.read_back("whole", keep_cached=keep_cached))
    assert b"".join(chunks) == body
    assert max(map(len, chunks), default=0) <= CHUNK
    with pytest.raises(BlobMissing):
        list(store.read_back("nothing", keep_cached=keep_cached))


def test_reading_back_leaves_what_is_remembered(tmp_path: Path):
    store = FilesystemStore(tmp_path)
    store.put("fresh", BytesIO(os.urandom(1 << 20)))
    try:
        known = is_remembered(tmp_path / "fresh")
    except OSError:
        known = False
    if not known:
        pytest.skip("this file system does not tell what is remembered of a file")
    descriptor = open_medium(str(tmp_path / "fresh"))
    if descriptor is None:
        pytest.skip("this file system has no reading past the memory")
    os.close(descriptor)
    assert sum(map(len, store.read_back("fresh", keep_cached=False))) == 1 << 20
    assert is_remembered(tmp_path / "fresh")


def is_remembered(path: Path) -> bool:
    """Whether the file's middle can be read without waiting for a disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.preadv(descriptor, [bytearray(4096)], 1 << 19, os.RWF_NOWAIT) == 4096
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def test_where_there_is_no_reading_past_the_memory_it_is_forgotten_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = FilesystemStore(tmp_path)
    body = os.urandom((1 << 20) + 5)
    store.put("blob", BytesIO(body))
    monkeypatch.setattr(medium, "_DIRECT", 0)
    assert b"".join(store.read_back("blob", keep_cached=False)) == body


def test_an_error_without_a_number_is_unavailable():
    with pytest.raises(Unavailable, match="strange"), as_pacs_error("testing"):
        raise OSError("strange")
    with pytest.raises(OutOfResources), as_pacs_error("testing"):
        raise OSError(errno.ENOSPC, "full")


def test_what_the_system_says_of_reading_is_ours(tmp_path: Path):
    store = FilesystemStore(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(Unavailable, match="reading a blob"):
        store.read_between("folder", 0, 1, b"", b"")
    with pytest.raises(Unavailable, match="opening a blob"):
        store.read_between("a" * 300, 0, 1, b"", b"")


def test_many_folders_are_forgotten_and_found_again(tmp_path: Path):
    store = FilesystemStore(tmp_path / "blobs")
    source = made(tmp_path, b"x")
    store.place_all([(f"{n}/x", source) for n in range(1003)])
    assert len(list(store.keys())) == 1003


def test_unfinished_copies_are_cleared_when_old(tmp_path: Path):
    store = FilesystemStore(tmp_path)
    assert store.discard_unfinished(0) == 0
    store.put("a", BytesIO(b"x"))
    left = tmp_path / ".unfinished" / "left"
    left.write_bytes(b"half")
    assert store.discard_unfinished(3600) == 0
    os.utime(left, (time.time() - 7200,) * 2)
    assert store.discard_unfinished(3600) == 1
    assert not left.exists()
    assert set(store.keys()) == {"a"}


def test_abandoned_multipart_uploads_are_cleared_when_old(s3_endpoint: str, tmp_path: Path):
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    client.create_multipart_upload(Bucket="blobs", Key="left/over")
    store = S3Store(bucket="blobs", prefix="left", endpoint_url=s3_endpoint, region="us-east-1")
    assert store.discard_unfinished(3600 * 24 * 365 * 50) == 0
    assert store.discard_unfinished(-3600 * 24) == 1
    assert store.discard_unfinished(-3600 * 24) == 0


def test_a_large_object_goes_up_in_parts(s3_endpoint: str, tmp_path: Path):
    store = S3Store(bucket="blobs", endpoint_url=s3_endpoint, region="us-east-1")
    body = os.urandom(17 << 20)
    store.place("large", made(tmp_path, body))
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    assert client.head_object(Bucket="blobs", Key="large")["ETag"].endswith('-2"')
    assert b"".join(store.stream("large")) == body


def test_an_object_store_that_is_down_is_unavailable(tmp_path: Path, s3_endpoint: str):
    store = S3Store(
        bucket="blobs", endpoint_url="http://127.0.0.1:25999", region="us-east-1", attempts=1
    )
    for act in (
        lambda: store.place("a", made(tmp_path, b"x")),
        lambda: store.read_at("a", 0, 1),
        lambda: store.size("a"),
        lambda: list(store.keys()),
    ):
        with pytest.raises(Unavailable, match="does not answer"):
            act()


def test_a_bucket_that_does_not_exist_is_unavailable(tmp_path: Path, s3_endpoint: str):
    store = S3Store(bucket="nowhere", endpoint_url=s3_endpoint, region="us-east-1", attempts=1)
    with pytest.raises(Unavailable):
        store.place("a", made(tmp_path, b"x"))
    with pytest.raises(Unavailable, match="NoSuchBucket"):
        list(store.keys())


class _Refusing(http.server.BaseHTTPRequestHandler):
    """A store that has no room: no object is there, no object can be added."""

    def do_HEAD(self):
        self.send_response(404)
        self.end_headers()

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b"<Error><Code>QuotaExceeded</Code><Message>full</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        body = b"<Error><Code>InternalError</Code><Message>oops</Message></Error>"
        self.send_response(500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


def test_a_full_object_store_is_out_of_resources(tmp_path: Path, s3_endpoint: str):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        store = S3Store(
            bucket="b",
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            region="us-east-1",
            attempts=1,
        )
        source = made(tmp_path, b"bytes")
        with pytest.raises(OutOfResources, match="no room"):
            store.place("a", source)
        with pytest.raises(OutOfResources, match="no room"):
            store.place_all([("a", source)])
        with pytest.raises(Unavailable, match="InternalError"):
            store.read_at("a", 0, 1)
        assert source.read_bytes() == b"bytes"
    finally:
        server.shutdown()
        server.server_close()


class _OlderServer(http.server.ThreadingHTTPServer):
    """Notes what it answered to each PUT."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.puts: list[int] = []


class _Older(_Refusing):
    """An object store that does not know conditions on writing."""

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        unknown = "If-None-Match" in self.headers
        body = b"<Error><Code>NotImplemented</Code></Error>" if unknown else b""
        assert isinstance(self.server, _OlderServer)
        self.server.puts.append(501 if unknown else 200)
        self.send_response(501 if unknown else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_an_object_store_without_conditions_is_asked_first(tmp_path: Path, s3_endpoint: str):
    server = _OlderServer(("127.0.0.1", 0), _Older)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        store = S3Store(bucket="b", endpoint_url=endpoint, region="us-east-1", attempts=1)
        source = made(tmp_path, b"bytes")
        for key in ("a", "b"):
            store.place(key, source)
        assert server.puts == [501, 200, 200]
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("url", ["", "/data", "file://host/data", "s3://", "ftp://host/x", "file:"])
def test_an_address_we_do_not_know_is_refused(url: str):
    with pytest.raises(ImproperlyConfigured, match="PACSWEB_STORAGE_URL"):
        store_from_url(url)


def test_the_process_has_one_store():
    assert blob_store() is blob_store()
