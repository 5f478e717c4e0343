"""tf.data over the feed: its order, its batches, shuffling off."""

from frameworks._tensorflow.data import evaluation_dataset as evaluation_dataset
from frameworks._tensorflow.data import training_dataset as training_dataset
