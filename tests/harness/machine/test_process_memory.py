import subprocess
import sys

import pytest

from benchmarks.harness.machine import process_memory

MIB = 1024**2

pytestmark = pytest.mark.skipif(
    process_memory.reset_peak() is None, reason="this kernel does not let VmHWM be reset"
)

CHILD = """
import sys
def take(mib):
    block = bytearray(mib * 1024 * 1024)
    block[::4096] = b"x" * len(block[::4096])
take(200)
print("allocated", flush=True)
sys.stdin.readline()
take(80)
print("allocated", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def child():
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "allocated\n"
    yield process
    process.kill()
    process.wait()


def test_peak_is_that_since_the_reset(child):
    assert process_memory.peak(child.pid) > 200 * MIB
    before = process_memory.reset_peak(child.pid)
    assert before < 100 * MIB  # the 200 MiB are freed and forgotten
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.stdout.readline() == "allocated\n"
    assert 75 * MIB < process_memory.peak(child.pid) - before < 100 * MIB


def test_peak_stays_after_the_memory_is_freed():
    before = process_memory.reset_peak()
    block = bytearray(64 * MIB)
    block[::4096] = b"x" * len(block[::4096])
    del block
    assert process_memory.peak() - before > 60 * MIB


def test_no_such_process():
    with pytest.raises(ProcessLookupError):
        process_memory.reset_peak(2**22 + 1)
    with pytest.raises(ProcessLookupError):
        process_memory.peak(2**22 + 1)
