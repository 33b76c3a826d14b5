"""BlobStore in an S3 bucket: `s3://bucket/prefix?endpoint_url=...&region=...`.

Credentials come from AWS's own environment variables, files or instance role; retries, signing
and multipart uploads are boto3's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from apps.errors import OutOfResources, PacsError, Unavailable
from apps.storage.blobs import CHUNK, BlobMissing, RandomAccess, valid_key

_PARALLEL: Final = 8
_MULTIPART_BYTES: Final = 16 << 20
_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_IS_THERE: Final = frozenset({"412", "PreconditionFailed"})
_UNKNOWN_CONDITION: Final = frozenset({"501", "NotImplemented"})
_FULL: Final = frozenset({"QuotaExceeded", "XMinioStorageFull", "EntityTooLarge", "507"})


class S3Blob:
    """RandomAccess by range requests."""

    def __init__(self, read_at: Callable[[int, int], bytes], size: int) -> None:
        self._read_at = read_at
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        """One range request."""
        length = min(length, self.size - offset)
        return self._read_at(offset, length) if length > 0 else b""

    def close(self) -> None:
        """Nothing is held open."""


class S3Store:
    """Blobs as objects of a bucket. The client is not shared across forks: one per process."""

    def __init__(
        self,
        *,
        bucket: str,
        prefix: str = "",
        endpoint_url: str | None = None,
        region: str | None = None,
        attempts: int = 5,
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._conditional = True
        self._client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=region,
            config=Config(
                retries={"mode": "standard", "max_attempts": attempts},
                connect_timeout=5,
                read_timeout=60,
                max_pool_connections=4 * _PARALLEL,
            ),
        )
        self._transfer = TransferConfig(
            multipart_threshold=_MULTIPART_BYTES,
            multipart_chunksize=_MULTIPART_BYTES,
            max_concurrency=4,
        )

    def _name(self, key: str) -> str:
        return self._prefix + valid_key(key)

    def place(self, key: str, source: Path) -> None:
        """See BlobStore."""
        with _as_pacs_error(key):
            small = source.stat().st_size < _MULTIPART_BYTES
            if small and self._conditional and self._put_if_new(key, source):
                return
            if not self._exists(key):
                self._client.upload_file(
                    str(source), self._bucket, self._name(key), Config=self._transfer
                )

    def _put_if_new(self, key: str, source: Path) -> bool:
        """One request for all of it; False where the server does not know the condition.

        boto3's transfers would ask first, and start threads for each file.
        """
        try:
            with source.open("rb") as body:
                self._client.put_object(
                    Bucket=self._bucket, Key=self._name(key), Body=body, IfNoneMatch="*"
                )
        except ClientError as error:
            code = str(error.response["Error"]["Code"])
            if code in _IS_THERE:
                return True
            if code in _UNKNOWN_CONDITION:
                self._conditional = False
                return False
            raise
        return True

    def place_all(self, sources: Sequence[tuple[str, Path | str]]) -> None:
        """See BlobStore. Several uploads at a time."""
        if not sources:
            return
        with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
            for _ in pool.map(lambda each: self.place(each[0], Path(each[1])), sources):
                pass

    def put(self, key: str, body: BinaryIO) -> None:
        """See BlobStore."""
        with _as_pacs_error(key):
            if not self._exists(key):
                self._client.upload_fileobj(
                    body, self._bucket, self._name(key), Config=self._transfer
                )

    def copy(self, key: str, to: str) -> None:
        """See BlobStore. The bytes do not pass through us."""
        with _as_pacs_error(key):
            if not self._exists(to):
                source = {"Bucket": self._bucket, "Key": self._name(key)}
                self._client.copy(source, self._bucket, self._name(to), Config=self._transfer)

    def _exists(self, key: str) -> bool:
        try:
            self.size(key)
        except BlobMissing:
            return False
        return True

    def open(self, key: str) -> RandomAccess:
        """See BlobStore."""
        return S3Blob(lambda offset, length: self.read_at(key, offset, length), self.size(key))

    def read_at(self, key: str, offset: int, length: int) -> bytes:
        """See BlobStore."""
        if length <= 0:
            return b""
        with _as_pacs_error(key):
            try:
                answer = self._get(key, offset, length)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == _RANGE_BEYOND_END:
                    return b""
                raise
            data: bytes = answer["Body"].read()
            return data

    def read_between(
        self, key: str, offset: int, length: int, before: bytes, after: bytes
    ) -> bytes | None:
        """See BlobStore."""
        data = self.read_at(key, offset, length)
        return b"".join((before, data, after)) if len(data) == length else None

    def _get(self, key: str, offset: int, length: int | None) -> dict[str, Any]:
        end = "" if length is None else offset + length - 1
        answer: dict[str, Any] = self._client.get_object(
            Bucket=self._bucket, Key=self._name(key), Range=f"bytes={offset}-{end}"
        )
        return answer

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See BlobStore. One request, read as it comes."""
        size = self.size(key)
        if offset >= size or length == 0:
            return iter(())
        with _as_pacs_error(key):
            body = self._get(key, offset, length)["Body"]
        return _body_chunks(key, body)

    def read_back(self, key: str, *, keep_cached: bool) -> Iterator[bytes]:  # noqa: ARG002 - nothing is cached here
        """See BlobStore."""
        return self.stream(key)

    def size(self, key: str) -> int:
        """See BlobStore."""
        with _as_pacs_error(key):
            answer = self._client.head_object(Bucket=self._bucket, Key=self._name(key))
            length: int = answer["ContentLength"]
            return length

    def delete(self, key: str) -> None:
        """See BlobStore."""
        with _as_pacs_error(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))

    def keys(self, prefix: str = "") -> Iterator[str]:
        """See BlobStore."""
        with _as_pacs_error(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield entry["Key"][len(self._prefix) :]

    def local_path(self, key: str) -> Path | None:
        """None: nothing is local."""
        valid_key(key)
        return None

    def discard_unfinished(self, older_than: float) -> int:
        """See BlobStore. Multipart uploads that nobody will complete."""
        limit = time.time() - older_than
        with _as_pacs_error("unfinished"):
            answer = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=self._prefix)
            old = [
                each for each in answer.get("Uploads", ()) if each["Initiated"].timestamp() < limit
            ]
            for each in old:
                self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=each["Key"], UploadId=each["UploadId"]
                )
            return len(old)


_RANGE_BEYOND_END: Final = 416


def _body_chunks(key: str, body: Any) -> Iterator[bytes]:
    with _as_pacs_error(key):
        try:
            while chunk := body.read(CHUNK):
                yield chunk
        finally:
            body.close()


@contextmanager
def _as_pacs_error(key: str) -> Iterator[None]:
    """Missing is BlobMissing, full is OutOfResources, everything else Unavailable."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _MISSING:
            raise BlobMissing(key) from error
        raise _failure(code, str(code)) from error
    except Boto3Error as error:
        # upload_file wraps what the client raised and keeps only its text.
        text = str(error)
        code = next((each for each in _FULL if f"({each})" in text), "")
        raise _failure(code, type(error).__name__) from error
    except (BotoCoreError, OSError) as error:
        raise _failure("", type(error).__name__) from error


def _failure(code: str, reason: str) -> PacsError:
    if code in _FULL:
        return OutOfResources(f"The object store has no room left ({reason}).")
    return Unavailable(f"The object store does not answer as it should ({reason}).")
