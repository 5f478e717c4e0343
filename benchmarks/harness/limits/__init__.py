"""The largest batch, proven: it trained, and the next larger one ran out of memory."""
