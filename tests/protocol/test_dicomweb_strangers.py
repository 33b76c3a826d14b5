"""dicomweb-client, a program nobody here wrote, on the running product."""

from __future__ import annotations

import pytest
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session_from_user_pass
from pydicom.uid import RLELossless
from pydicom.uid import generate_uid as new_uid

from tests.builders import ct_slice, part10
from tests.protocol.dicomweb_archive import Archive, read

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def client(archive: Archive) -> DICOMwebClient:
    session = create_session_from_user_pass(*archive.stack.auth)
    return DICOMwebClient(url=archive.root, session=session)


@pytest.fixture(scope="module")
def study(client: DICOMwebClient):
    uid, series = new_uid(), new_uid()
    slices = [ct_slice(study=uid, series=series, number=n, size=32) for n in (1, 2, 3)]
    client.store_instances([read(part10(ds)) for ds in slices])
    return slices


def test_it_stores_and_finds(client: DICOMwebClient, study):
    uid = study[0].StudyInstanceUID
    (found,) = client.search_for_studies(search_filters={"StudyInstanceUID": uid})
    assert found["0020000D"]["Value"] == [uid]
    assert len(client.search_for_series(uid)) == 1
    assert len(client.search_for_instances(uid, limit=2)) == 2
    everything = client.search_for_instances(uid, limit=1, get_remaining=True)
    assert len(everything) == 3
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []


def test_it_retrieves_studies_series_and_instances(client: DICOMwebClient, study):
    uid, series = study[0].StudyInstanceUID, study[0].SeriesInstanceUID
    for back in (
        client.retrieve_study(uid),
        client.retrieve_series(uid, series),
        [client.retrieve_instance(uid, series, ds.SOPInstanceUID) for ds in study],
    ):
        assert [ds.PixelData for ds in back] == [ds.PixelData for ds in study]


def test_it_reads_metadata_and_bulk_data(client: DICOMwebClient, study):
    uid, series = study[0].StudyInstanceUID, study[0].SeriesInstanceUID
    rows = client.retrieve_series_metadata(uid, series)
    assert [row["00200013"]["Value"] for row in rows] == [[1], [2], [3]]
    assert len(client.retrieve_study_metadata(uid)) == 3
    # It sends a Host header without the port: the link must be good all the same.
    (data,) = client.retrieve_bulkdata(rows[0]["7FE00010"]["BulkDataURI"])
    assert data == study[0].PixelData


def test_it_reads_frames_native_and_compressed(client: DICOMwebClient, archive: Archive):
    ds = read(part10(ct_slice(frames=3, size=20)))
    pixels, uid = ds.pixel_array.copy(), ds.SOPInstanceUID
    ds.compress(RLELossless)
    ds.SOPInstanceUID = uid
    assert archive.store(part10(ds, RLELossless)).status_code == 200
    uids = (ds.StudyInstanceUID, ds.SeriesInstanceUID, uid)
    frames = client.retrieve_instance_frames(*uids, frame_numbers=[3, 1])
    assert frames == [pixels[2].tobytes(), pixels[0].tobytes()]
    packed = client.retrieve_instance_frames(
        *uids, frame_numbers=[2], media_types=(("image/dicom-rle", RLELossless),)
    )
    assert packed[0] != pixels[1].tobytes()


def test_it_gets_pictures(client: DICOMwebClient, study):
    uids = (
        study[0].StudyInstanceUID,
        study[0].SeriesInstanceUID,
        study[0].SOPInstanceUID,
    )
    png = client.retrieve_instance_rendered(*uids, media_types=("image/png",))
    assert png.startswith(b"\x89PNG")
    jpeg = client.retrieve_instance_frames_rendered(
        *uids, frame_numbers=[1], media_types=("image/jpeg",), params={"quality": 80}
    )
    assert jpeg.startswith(b"\xff\xd8\xff")
