"""The counters of TensorFlow's device allocator. It keeps a peak on GPU and CPU, and no reserve."""

from frameworks._tensorflow import memory

found_device = memory.found_device
synchronize = memory.synchronize
limit_memory = memory.limit_memory
reset_peak = memory.reset_peak
allocator = memory.allocator
