"""Property tests try the same examples everywhere, so that it is a change that makes one fail; and
they have no deadline, since workers share the machine. `--hypothesis-profile=default` looks for
new examples."""

from hypothesis import settings

settings.register_profile("ftbench", derandomize=True, deadline=None)
settings.load_profile("ftbench")
