"""A step's buffers are replayed through an allocator: the peak, and the largest batch."""
