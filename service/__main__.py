"""The entry point of ``python -P -m service``."""

from __future__ import annotations

import gc
import sys

gc.disable()  # imported modules stay for good: looking through them again and again takes a sixth of the start

from service.command_line import main  # noqa: E402

gc.freeze()
gc.enable()

if __name__ == "__main__":
    sys.exit(main())
