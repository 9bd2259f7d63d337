"""The entry point of ``python -m fitwell``, for environments whose commands are not on the PATH."""

from __future__ import annotations

from fitwell.cli import main

if __name__ == "__main__":
    main()
