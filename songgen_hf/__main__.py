"""``python -m songgen_hf`` is the command ``songgen-hf``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
