"""The counters of TensorFlow's device allocator. It keeps a peak on GPU and CPU, and no reserve."""

from frameworks._tensorflow import device

found_device = device.found_device
synchronize = device.synchronize
limit_memory = device.limit_memory
reset_peak = device.reset_peak
allocator = device.allocator
