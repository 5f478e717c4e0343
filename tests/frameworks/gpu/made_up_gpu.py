"""A script for a process of its own: TensorFlow is shown a GPU that is not there.

python -m tests.frameworks.gpu.made_up_gpu START_FOLDER

The device stands among the physical devices, so whoever asks for GPUs finds it, and it is not
visible to the runtime, so everything is computed on the processor.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import tensorflow as tf
from tensorflow.python.eager import context

from frameworks._tensorflow import device
from frameworks.contract import Start
from tests.frameworks.conftest import VOCABULARY, make_spec, new_session


def make_up() -> context.PhysicalDevice:
    present = context.context()
    present._initialize_physical_devices()
    gpu = context.PhysicalDevice(name="/physical_device:GPU:0", device_type="GPU")
    present._physical_devices.append(gpu)
    present._physical_device_to_index[gpu] = 1
    present._memory_growth_map[gpu] = None
    return gpu


def main() -> None:
    gpu = make_up()
    assert device.kind() == "gpu"
    device.limit_memory(None)
    device.limit_memory(None)  # again, as a second session of the process does
    assert tf.config.experimental.get_memory_growth(gpu)
    context.context()._memory_growth_map[gpu] = None  # as in a process that had no session yet

    tf.config.experimental.get_device_details = lambda device: {"device_name": "NVIDIA H100"}
    found = device.found_device()
    assert (found.kind, found.name, found.count) == ("gpu", "NVIDIA H100", 1)

    spec = make_spec(Start(Path(sys.argv[1]), "bert", 3, VOCABULARY, 32))
    spec = dataclasses.replace(spec, memory_limit_bytes=6 * 2**30)
    new_session("hf_tf", spec)
    new_session("hf_tf", spec)  # a finder builds one for every probe
    new_session("keras_rnn", spec)
    (limit,) = tf.config.get_logical_device_configuration(gpu)
    assert limit.memory_limit == 6 * 1024
    assert not tf.config.experimental.get_memory_growth(gpu)
    print("passed")


if __name__ == "__main__":
    main()
