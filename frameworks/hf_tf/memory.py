"""The counters of TensorFlow's device allocator. It keeps a peak on GPU and CPU, and no reserve."""

from frameworks._tensorflow.memory import allocator as allocator
from frameworks._tensorflow.memory import limit_memory as limit_memory
from frameworks._tensorflow.memory import reset_peak as reset_peak
from frameworks._tensorflow.memory import synchronize as synchronize
