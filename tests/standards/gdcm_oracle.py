"""GDCM as an oracle, run as a program of its own because it aborts the process on odd files.

Usage: python gdcm_oracle.py FILE; writes the stored values of all frames to standard output.
"""

import os
import sys


def main(path: str) -> int:
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(path)
    if not reader.Read():
        return 2
    values = reader.GetImage().GetBuffer()
    os.write(1, b"")
    sys.stdout.buffer.write(values.encode("utf-8", errors="surrogateescape"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
