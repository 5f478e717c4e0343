"""Fine-tunes a classifier with Keras's fit and prints its step rate."""

import argparse
import json
import time

import numpy as np
import tensorflow as tf
import tf_keras
from transformers import TFAutoModelForSequenceClassification, create_optimizer

parser = argparse.ArgumentParser()
parser.add_argument("checkpoint")
parser.add_argument("data", help="an .npz file of token ids and labels")
parser.add_argument("recipe", help="a JSON file")
parser.add_argument("--first", type=int, required=True, help="steps before the clock starts")
parser.add_argument("--every", type=int, required=True, help="steps in a window")
options = parser.parse_args()
with open(options.recipe) as file:
    recipe = json.load(file)


def texts(file):
    """Arrays (examples, length), padded on the right."""
    ends, columns = file["offsets"], np.arange(recipe["length"])
    mask = columns < np.diff(ends)[:, None]
    ids = np.zeros(mask.shape, np.int32)
    ids[mask] = file["ids"]
    types = mask & (columns >= file["second_starts"][:, None])
    inputs = {
        "input_ids": ids,
        "attention_mask": mask.astype(np.int32),
        "token_type_ids": types.astype(np.int32),
    }
    dataset = tf.data.Dataset.from_tensor_slices((inputs, file["labels"]))
    return dataset.shuffle(len(ids)).repeat().batch(recipe["batch_size"]).prefetch(tf.data.AUTOTUNE)


class Clock(tf_keras.callbacks.Callback):
    ends = []

    def on_train_batch_end(self, batch, logs=None):
        step = batch + 1
        if step >= options.first and not (step - options.first) % options.every:
            self.ends.append(time.perf_counter())


optimizer, _ = create_optimizer(
    recipe["learning_rate"],
    recipe["steps"],
    num_warmup_steps=round(recipe["warmup_share"] * recipe["steps"]),
    weight_decay_rate=recipe["weight_decay"],
    adam_global_clipnorm=recipe["max_gradient_norm"],
)
model = TFAutoModelForSequenceClassification.from_pretrained(options.checkpoint)
model.compile(
    optimizer=optimizer, loss=tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(
    texts(np.load(options.data)), steps_per_epoch=recipe["steps"], callbacks=[Clock()], verbose=0
)
print(json.dumps([options.every / seconds for seconds in np.diff(Clock.ends)]))
