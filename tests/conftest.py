"""Property tests try the same examples everywhere, so that it is a change that makes one fail; and
they have no deadline, since workers share the machine. `--hypothesis-profile=default` looks for
new examples."""

import os

import pytest
from hypothesis import settings

# Mutated inputs that each such test tries; FTBENCH_FUZZ=2000 searches longer.
EXAMPLES = int(os.environ.get("FTBENCH_FUZZ", "60"))
# Small models gain nothing from a second thread. Workers do not inherit OMP_NUM_THREADS.
os.environ.setdefault("FTBENCH_THREADS", "1")

settings.register_profile("ftbench", derandomize=True, deadline=None)
settings.load_profile("ftbench")

# The files that take longest, in that order: two at a time (`tox -e tests`), a slow file that started last
# would leave a core without work at the end.
SLOW = (
    "frameworks/test_fields.py",
    "benchmarks/test_limits.py",
    "frameworks/test_session.py",
    "frameworks/gpu/test_profiles_fit.py",
    "frameworks/certificates/test_faults.py",
    "frameworks/certificates/test_shipped_faults.py",
    "benchmarks/test_runs.py",
    "benchmarks/training/test_callbacks.py",
    "benchmarks/training/test_checkpoints.py",
    "benchmarks/training/test_own_models.py",
    "benchmarks/test_certify.py",
    "benchmarks/test_tuning.py",
    "benchmarks/test_turns.py",
    "frameworks/memory/test_allocations_tf.py",
    "frameworks/memory/test_memory_levers.py",
    "benchmarks/test_join.py",
    "benchmarks/test_overhead.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        file = item.nodeid.partition("::")[0].removeprefix("tests/")
        return SLOW.index(file) if file in SLOW else len(SLOW)

    items.sort(key=place)
