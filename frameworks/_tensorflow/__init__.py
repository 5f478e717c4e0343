"""What both TensorFlow backends share; not a backend."""
