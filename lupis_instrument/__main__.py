"""Makes `python -m lupis_instrument` the same command as `lupis-run`."""

from __future__ import annotations

import sys

from lupis_instrument._cli.run.launcher import main

if __name__ == "__main__":
    sys.exit(main())
