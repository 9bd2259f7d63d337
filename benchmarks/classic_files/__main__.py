"""``python -m benchmarks.classic_files``: read the files, or score models that were trained on them."""

from __future__ import annotations

import argparse
import tempfile

from benchmarks.classic_files.reading import print_answers
from fitwell.local import LocalServer, free_port


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("read", help="print what the server answers to each file")
    parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fitwell-files-") as home:
        server = LocalServer({"FITWELL_DATA_DIR": home}, host="127.0.0.1", port=free_port(), workers=1, quiet=True)
        try:
            server.start()
            print_answers(server.url)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
