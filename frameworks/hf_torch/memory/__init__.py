"""The buffers of a step on a device that is not there: what they are, and which CUDA's kernels take."""
