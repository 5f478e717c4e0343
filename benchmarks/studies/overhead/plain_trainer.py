"""Fine-tunes a classifier with transformers' Trainer and prints its step rate."""

import argparse
import json
import time

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

parser = argparse.ArgumentParser()
parser.add_argument("checkpoint")
parser.add_argument("data", help="an .npz file of token ids and labels")
parser.add_argument("recipe", help="a JSON file")
parser.add_argument("--first", type=int, required=True, help="steps before the clock starts")
parser.add_argument("--every", type=int, required=True, help="steps in a window")
options = parser.parse_args()
with open(options.recipe) as file:
    recipe = json.load(file)


class Texts(torch.utils.data.Dataset):
    def __init__(self, file):
        self.ids, self.labels = file["ids"], file["labels"]
        self.offsets, self.seconds = file["offsets"], file["second_starts"]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        ids, length = self.ids[self.offsets[i] : self.offsets[i + 1]], recipe["length"]
        types = np.arange(length) >= self.seconds[i]
        mask = np.arange(length) < len(ids)
        return {
            "input_ids": torch.tensor(np.pad(ids, (0, length - len(ids)))).long(),
            "attention_mask": torch.tensor(mask).long(),
            "token_type_ids": torch.tensor(types & mask).long(),
            "label": int(self.labels[i]),
        }


class Clock(TrainerCallback):
    ends = []

    def on_step_end(self, args, state, control, **_):
        if (
            state.global_step >= options.first
            and not (state.global_step - options.first) % options.every
        ):
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.ends.append(time.perf_counter())


trainer = Trainer(
    model=AutoModelForSequenceClassification.from_pretrained(options.checkpoint),
    args=TrainingArguments(
        "plain-trainer",
        per_device_train_batch_size=recipe["batch_size"],
        max_steps=recipe["steps"],
        learning_rate=recipe["learning_rate"],
        weight_decay=recipe["weight_decay"],
        max_grad_norm=recipe["max_gradient_norm"],
        warmup_steps=round(recipe["warmup_share"] * recipe["steps"]),
        report_to=[],
        save_strategy="no",
    ),
    train_dataset=Texts(np.load(options.data)),
    callbacks=[Clock()],
)
trainer.train()
print(json.dumps([options.every / seconds for seconds in np.diff(Clock.ends)]))
