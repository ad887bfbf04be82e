"""`python -m pytest_modelgate`: see `pytest_modelgate.cli`."""

from __future__ import annotations

import sys

from pytest_modelgate.cli import main

if __name__ == "__main__":
    sys.exit(main())
