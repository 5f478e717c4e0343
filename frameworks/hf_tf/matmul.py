"""The matrix rate that this framework reaches on this device, the yardstick of MFU."""

from frameworks._tensorflow import matmul

flops_per_second = matmul.flops_per_second
