"""Models of the allocators that give a training step its buffers."""
