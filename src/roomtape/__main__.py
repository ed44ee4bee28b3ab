"""``python -m roomtape``."""

import sys

from .cli import main

sys.exit(main())
