"""What `record` and `hash_batches` ask to keep, kept on the device until it is read."""

from frameworks._tensorflow import recording

Recording = recording.Recording
