"""`python -m ftbench` is the command `ftbench`."""

import sys

from ftbench import main

sys.exit(main())
