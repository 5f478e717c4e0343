"""python -m benchmarks.harness.cli: the same as ftbench."""

import sys

from benchmarks.harness.cli.main import main

sys.exit(main())
