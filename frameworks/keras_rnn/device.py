"""TensorFlow's device, and its allocator's counters. It keeps a peak on GPU and CPU, and no reserve."""

from frameworks._tensorflow import device

kind = device.kind
found_device = device.found_device
synchronize = device.synchronize
limit_memory = device.limit_memory
reset_peak = device.reset_peak
allocator = device.allocator
matmul_flops_per_second = device.matmul_flops_per_second
