"""OHIF's built site in front of the product's own DICOMweb, served as the product serves itself.

Used by `first_image.py`: the same server, the same threads and the same application behind
`/dicom-web`, so that only the viewers differ. OHIF_DIST names the folder of the built site.
"""

from __future__ import annotations

import mimetypes
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

CONFIG = b"""
window.config = {
  routerBasename: null, extensions: [], modes: [], customizationService: {},
  showStudyList: true, maxNumberOfWebWorkers: 3, showLoadingIndicator: true,
  showWarningMessageForCrossOrigin: false, showCPUFallbackMessage: false,
  strictZSpacingForVolumeViewport: true,
  defaultDataSourceName: 'dicomweb',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'dicomweb',
    configuration: {
      friendlyName: 'pacsweb', name: 'pacsweb',
      wadoUriRoot: '/wado', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
      qidoSupportsIncludeField: true, imageRendering: 'wadors', thumbnailRendering: 'wadors',
      enableStudyLazyLoad: true, supportsFuzzyMatching: true, supportsWildcard: true,
      omitQuotationForMultipartRequest: true,
    },
  }],
};
"""

Start = Callable[[str, list[tuple[str, str]]], Any]


def _files(dist: Path) -> dict[str, tuple[str, Path]]:
    """Path in the address to media type and file."""
    found = {}
    for path in dist.rglob("*"):
        if path.is_file():
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            found["/" + path.relative_to(dist).as_posix()] = (kind, path)
    return found


def make_application(dist: Path) -> Callable[[dict[str, Any], Start], Iterable[bytes]]:
    """DICOMweb and sign-in by the product; everything else is the site or its one page."""
    from pacsweb.wsgi import application as product

    files = _files(dist)
    index = files["/index.html"]

    def application(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith(("/dicom-web", "/login", "/api", "/readyz")):
            return product(environ, start)
        if path == "/app-config.js":
            start("200 OK", [("Content-Type", "text/javascript")])
            return [CONFIG]
        kind, file = files.get(path, index)
        start("200 OK", [("Content-Type", kind), ("Cache-Control", "max-age=3600")])
        return [file.read_bytes()]

    return application


if os.environ.get("OHIF_DIST") and __name__ != "__main__":
    application = make_application(Path(os.environ["OHIF_DIST"]))


def main() -> None:
    """Serves on OHIF_PORT until SIGTERM, with the settings of `pacsweb.web`."""
    if "OHIF_PORT" not in os.environ:
        print("Started by first_image.py; measures nothing by itself.")
        return
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    from pacsweb.settings.environment import ENVIRONMENT

    Granian(
        "benchmarks.ohif_site:application",
        address="127.0.0.1",
        port=int(os.environ["OHIF_PORT"]),
        interface=Interfaces.WSGI,
        workers=ENVIRONMENT.web_workers,
        blocking_threads=ENVIRONMENT.web_threads,
        websockets=False,
        log_level=LogLevels.error,
        working_dir=ROOT,
    ).serve()


if __name__ == "__main__":
    main()
