"""The session of the logistic model."""

import time
from dataclasses import asdict
from itertools import islice

import numpy as np
from frameworks.logistic import unsupported

from frameworks import contract
from frameworks.contract import AllocatorCounters, Curve, Effective, FoundDevice, SessionSpec


class Device:
    """A processor, whose memory NumPy does not count."""

    def found_device(self):
        return FoundDevice("cpu", "NumPy")

    def synchronize(self):
        pass

    def reset_peak(self):
        pass

    def allocator(self):
        return AllocatorCounters()

    def matmul_flops_per_second(self, recipe):
        numbers, began = np.ones((512, 512), np.float32), time.perf_counter()
        numbers @ numbers
        return 2 * 512**3 / (time.perf_counter() - began)


class Session(contract.Session):
    device = Device()

    def __init__(self, spec: SessionSpec) -> None:
        super().__init__(spec)
        for refusal in unsupported(spec.recipe, spec.start, "cpu"):
            raise refusal
        shape = spec.start.vocabulary_size, spec.start.label_count
        self._kernel, self._mean, self._square = np.zeros((3, *shape), np.float32)
        self._curve = Curve()
        self._done = 0  # steps

    def train(self, watch):
        feed, recipe = self.spec.feed, self.spec.recipe
        watch.begin()
        batches = islice(feed.endless(self._done), feed.total_steps - self._done)
        for step, batch in enumerate(batches, start=self._done):
            rate = contract.learning_rate(recipe, step, feed.total_steps)
            self._step(batch, rate, step + 1)
            if self.spec.hash_batches:
                self._curve.batch_digests.append(contract.batch_digest(batch))
            self._done = step + 1
            if watch.step_end(step + 1):
                return

    train_bare = train

    def _step(self, batch, rate, number):
        recipe, rows = self.spec.recipe, np.arange(len(batch["labels"]))
        counts = self._counts(batch)
        chances = np.exp(counts @ self._kernel)
        chances /= chances.sum(axis=1, keepdims=True)
        loss = -np.log(chances[rows, batch["labels"]]).mean()
        chances[rows, batch["labels"]] -= 1
        gradient = counts.T @ chances / len(rows)
        norm = np.sqrt((gradient**2).sum())
        if recipe.max_gradient_norm:
            gradient *= min(1, recipe.max_gradient_norm / norm)
        self._mean += (1 - recipe.beta1) * (gradient - self._mean)
        self._square += (1 - recipe.beta2) * (gradient**2 - self._square)
        root = np.sqrt(self._square / (1 - recipe.beta2**number)) + recipe.epsilon
        self._kernel *= 1 - rate * recipe.weight_decay
        self._kernel -= rate * self._mean / (1 - recipe.beta1**number) / root
        if self.spec.record:
            curve = self._curve
            values = ((curve.loss, loss), (curve.gradient_norm, norm), (curve.learning_rate, rate))
            for kept, value in values:
                kept.append(float(value))

    def _counts(self, batch):
        counts = np.zeros((len(batch["input_ids"]), len(self._kernel)), np.float32)
        rows, columns = np.nonzero(batch["attention_mask"])
        np.add.at(counts, (rows, batch["input_ids"][rows, columns]), 1)
        return counts

    def predict(self, examples, *, batch_size):
        parts = np.array_split(np.arange(len(examples)), -(-len(examples) // batch_size))
        batches = (examples.collate(part, self.spec.recipe) for part in parts)
        return np.concatenate([self._counts(batch) @ self._kernel for batch in batches])

    def weights(self):
        return {"classifier.weight": self._kernel.T.copy()}

    def load_weights(self, weights):
        self._kernel[:] = weights["classifier.weight"].T

    def save_state(self, folder):
        kept = {name: getattr(self, name) for name in ("_kernel", "_mean", "_square", "_done")}
        np.savez(folder / "state.npz", **kept, **asdict(self._curve))

    def load_state(self, folder):
        with np.load(folder / "state.npz") as kept:
            for name in ("_kernel", "_mean", "_square"):
                getattr(self, name)[:] = kept[name]
            self._done = int(kept["_done"])
            self._curve = Curve(**{name: kept[name].tolist() for name in asdict(self._curve)})

    def effective(self):
        return Effective("fp32", "none", "adamw", False, self._kernel.size, 0, "cpu")

    def curve(self):
        return self._curve

    def tell_phases(self, begins):
        return False
