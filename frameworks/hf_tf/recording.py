"""Records what `record` and `hash_batches` ask for, on the device until it is read."""

from frameworks._tensorflow import recording

Recording = recording.Recording
