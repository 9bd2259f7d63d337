"""``python -m benchmarks.classic_files``: read the files, or score models that were trained on them."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.classic_files.experts import EXPERTS
from benchmarks.classic_files.reading import print_answers
from benchmarks.classic_files.scores import write_scores
from fitwell.client import Client
from fitwell.local import LocalServer, free_port


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("read", help="print what the server answers to each file")
    scoring = commands.add_parser("score", help="train models and compare their test scores with scikit-learn's")
    scoring.add_argument("target", type=Path, help="CSV file of all scores")
    scoring.add_argument("names", nargs="*", help="files to score; by default all tables")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fitwell-files-") as home:
        server = LocalServer({"FITWELL_DATA_DIR": home}, host="127.0.0.1", port=free_port(), workers=1, quiet=True)
        try:
            server.start()
            if arguments.command == "read":
                print_answers(server.url)
            else:
                write_scores(Client(server.url), arguments.target, arguments.names or list(EXPERTS))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
