"""How each framework does the work: one contract and twin packages that fulfil it.

FTBENCH_BACKENDS names further folders with backends, each a folder of its own as here."""

import os

__path__ += [path for path in os.environ.get("FTBENCH_BACKENDS", "").split(os.pathsep) if path]
