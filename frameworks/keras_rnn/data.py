"""tf.data over the feed: its order, its batches, shuffling off."""

from frameworks._tensorflow import data

training_batches = data.training_batches
evaluation_batches = data.evaluation_batches
