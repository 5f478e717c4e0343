import os

import pytest

from benchmarks.harness.machine import processor


@pytest.fixture
def machine(tmp_path):
    """A made-up root with 8 GiB of memory and no control groups."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal:        8388608 kB\nMemFree: 1 kB\n")
    (tmp_path / "proc/cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Made-up 9000\nflags\t\t: fpu\n\n"
        "processor\t: 1\nmodel name\t: Other\nflags\t\t: fpu\n"
    )
    return tmp_path


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_name(machine):
    assert processor.name(machine) == "Made-up 9000"


def test_a_kernel_that_names_no_model(machine):
    write(machine, "proc/cpuinfo", "processor : 0\nFeatures : fp asimd\n")
    assert processor.name(machine) == os.uname().machine


def test_without_limits(machine):
    assert processor.memory_bytes(machine) == 8 * 2**30
    assert processor.usable_cores(machine) == len(os.sched_getaffinity(0))


def test_version_2_limits_hold_along_the_path(machine):
    write(machine, "proc/self/cgroup", "0::/outer/inner\n")
    write(machine, "sys/fs/cgroup/outer/memory.max", "2147483648\n")
    write(machine, "sys/fs/cgroup/outer/inner/memory.max", "max\n")
    write(machine, "sys/fs/cgroup/outer/cpu.max", "max 100000\n")
    write(machine, "sys/fs/cgroup/outer/inner/cpu.max", "50000 100000\n")
    assert processor.memory_bytes(machine) == 2 * 2**30
    assert processor.usable_cores(machine) == 1


def test_a_container_sees_its_group_as_the_top(machine):
    write(machine, "proc/self/cgroup", "0::/host/only/path\n")
    write(machine, "sys/fs/cgroup/memory.max", "1073741824\n")
    assert processor.memory_bytes(machine) == 2**30


def test_version_1_limits(machine):
    write(machine, "proc/self/cgroup", "5:cpu,cpuacct:/box\n3:memory:/box\n")
    write(machine, "sys/fs/cgroup/memory/box/memory.limit_in_bytes", "4294967296\n")
    write(machine, "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "10000\n")
    write(machine, "sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n")
    assert processor.memory_bytes(machine) == 4 * 2**30
    assert processor.usable_cores(machine) == 1


def test_a_limit_above_the_machine_is_none(machine):
    write(machine, "proc/self/cgroup", "3:memory:/\n")
    write(machine, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert processor.memory_bytes(machine) == 8 * 2**30
