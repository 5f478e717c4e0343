"""Property tests try the same examples everywhere, so that it is a change that makes one fail; and
they have no deadline, since workers share the machine. `--hypothesis-profile=default` looks for
new examples."""

import os

from hypothesis import settings

# Mutated inputs that each such test tries; FTBENCH_FUZZ=2000 searches longer.
EXAMPLES = int(os.environ.get("FTBENCH_FUZZ", "60"))
# Small models gain nothing from a second thread. Workers do not inherit OMP_NUM_THREADS.
os.environ.setdefault("FTBENCH_THREADS", "1")

settings.register_profile("ftbench", derandomize=True, deadline=None)
settings.load_profile("ftbench")
