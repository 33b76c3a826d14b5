"""GDCM as a DICOM client, in a process of its own.

Usage: python gdcm_client.py echo|store|find|move PORT CALLED [ARGUMENT ...]; prints JSON.

`store` takes files; `find` takes a Patient ID and prints the matches' Patient's Names; `move`
takes a Study Instance UID, a port to listen on and a folder.

GDCM ends its own process when it has released an association (`ProtocolStream as nullptr is
invalid`, seen with DCMTK as its peer too, and so does its program gdcmscu). Everything that is
asked has been answered by then, so this leaves before the release.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import gdcm

_PATIENT_ID, _PATIENT_NAME = (0x0010, 0x0020), (0x0010, 0x0010)
_STUDY_INSTANCE_UID = (0x0020, 0x000D)


def _keys(pad: str, **values: tuple[tuple[int, int], str]) -> Any:
    keys = gdcm.DataSet()
    for tag, value in values.values():
        padded = value + pad * (len(value) % 2)
        element = gdcm.DataElement(gdcm.Tag(*tag))
        element.SetByteValue(padded, gdcm.VL(len(padded)))
        keys.Insert(element)
    return keys


def _associated(client: Any, *sop_classes: str, files: Any = None) -> Any:
    assert client.InitializeConnection()
    contexts = gdcm.PresentationContextGenerator()
    if files is not None:
        contexts.GenerateFromFilenames(files)
    for each in sop_classes:
        contexts.GenerateFromUID(each)
    client.SetPresentationContexts(contexts.GetPresentationContexts())
    assert client.StartAssociation()
    return client


def echo(client: Any) -> bool:
    return bool(_associated(client, gdcm.UIDs.VerificationSOPClass).SendEcho())


def store(client: Any, *paths: str) -> list[bool]:
    files = gdcm.FilenamesType()
    for each in paths:
        files.append(each)
    _associated(client, files=files)
    return [bool(client.SendStore(each)) for each in paths]


def find(client: Any, patient_id: str) -> list[str]:
    keys = _keys(" ", id=(_PATIENT_ID, patient_id), name=(_PATIENT_NAME, ""))
    query = gdcm.CompositeNetworkFunctions.ConstructQuery(
        gdcm.ePatientRootType, gdcm.ePatient, keys
    )
    _associated(client, gdcm.UIDs.PatientRootQueryRetrieveInformationModelFIND)
    matches = gdcm.DataSetArrayType()
    assert client.SendFind(query, matches)
    name = gdcm.Tag(*_PATIENT_NAME)
    return [str(each.GetDataElement(name).GetValue()).strip() for each in matches]


def move(client: Any, study: str, port: str, folder: str) -> bool:
    keys = _keys("\0", study=(_STUDY_INSTANCE_UID, study))
    query = gdcm.CompositeNetworkFunctions.ConstructQuery(
        gdcm.eStudyRootType, gdcm.eStudy, keys, gdcm.eMove
    )
    client.SetPortSCP(int(port))
    _associated(client, gdcm.UIDs.StudyRootQueryRetrieveInformationModelMOVE)
    return bool(client.SendMove(query, folder))


def main(action: str, port: str, called: str, *arguments: str) -> None:
    client = gdcm.ServiceClassUser()
    client.SetHostname("127.0.0.1")
    client.SetPort(int(port))
    client.SetTimeout(30)
    client.SetAETitle("GDCM")
    client.SetCalledAETitle(called)
    actions: dict[str, Callable[..., Any]] = {
        "echo": echo,
        "store": store,
        "find": find,
        "move": move,
    }
    sys.stdout.write(json.dumps(actions[action](client, *arguments)))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
