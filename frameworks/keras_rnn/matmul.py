"""The matrix rate that this framework reaches on this device, the yardstick of MFU."""

from frameworks._tensorflow.matmul import flops_per_second as flops_per_second
