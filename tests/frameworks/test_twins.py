"""The backends are twins: the same files, and in them the same public names in the same order.

Where they differ, the reason is in this file."""

from __future__ import annotations

import ast
from itertools import combinations
from pathlib import Path

import pytest

from frameworks.contract import backends

# Files that not every backend has.
FILES = {
    "memory.py": "the package of the next two",
    "memory/cuda_kernels.py": "PyTorch's step is followed on fake tensors, TensorFlow's in its graph",
    "memory/ledger.py": "the same",
    "finders.py": "accelerate's finder belongs to PyTorch",
    "install_cuda.py": "TensorFlow's wheel for PyPI leaves CUDA to another command",
    "unpickle.py": "pytorch_model.bin is PyTorch's format",
    "trainer.py": "Trainer is adapted by a subclass, fit by its arguments",
    "own_model.py": "tf_keras's models are those of transformers",
    "own_model/unsaved.py": "only a module may keep a state that nothing lists",
    "own_model/lstm.py": "the model of keras_rnn, which has it in model.py",
}
# Names that not every backend has, by file.
NAMES = {
    "__init__.py": {"unsupported_eight_bit": "bitsandbytes is for PyTorch"},
    "bare.py": {
        "loss": "TensorFlow's loop is given the loss that fit uses",
        "on_device": "TensorFlow copies a batch by itself",
        "step_batches": "PyTorch's loop groups the batches of a step by itself",
        "endless": "a DataLoader ends with its epoch, tf.data repeats",
    },
    "data.py": {
        "Indices": "a DataLoader wants a Dataset",
        "FeedOrder": "a DataLoader wants a Sampler",
    },
    "device.py": {"place": "PyTorch's name of the device"},
    "model.py": {
        "checkpoint_activations": "only PyTorch's models can recompute activations",
        "checkpoints_activations": "the same, read back",
        "configuration": "the LSTM has no config.json",
        "asked_attention": "only a model of the user's in PyTorch may come without a config",
        "pytorch_name": "TensorFlow and Keras name their variables in their own ways",
        "attention_of": "the models of the others have one attention or none",
        "dropout_generators": "only Keras 2 hides the state of dropout unless it is told not to",
        "compiled_graphs": "PyTorch's compiler may leave a model as it is, XLA must compile its graph",
        "reached_recompile_limit": "the same",
        "hides_errors": "the same",
        "dynamo_counters": "the same",
        "not_compiled": "the same; TensorFlow's recording says why",
        "names": "PyTorch's parameters have their names",
        "sizes": "the same",
    },
    "optimizer.py": {
        "WholeSteps": "Trainer accumulates and clips outside of the optimizer, fit does neither",
        "AdamW": "in Keras an optimizer's step is a method",
        "Adafactor": "the same",
        "Schedule": "Keras wants a class, PyTorch a function",
        "adamw": "in PyTorch an optimizer is made by a call",
        "adafactor": "the same",
        "adamw_8bit": "bitsandbytes is for PyTorch",
        "adam_fields": "PyTorch's two AdamW take the same arguments",
    },
    "precision.py": {
        "apply": "Trainer takes arguments ...",
        "applied": "... and Keras a policy that is in force while a model is built",
        "set_products": "accelerate switches TF32 on again",
        "bare_context": "PyTorch's loop opens autocast by itself",
        "bare_scaler": "PyTorch's loop scales losses by itself",
    },
    "state.py": {
        "cannot_resume": "Trainer resumes by itself, and not in every version exactly",
        "variables": "Trainer writes its own files",
    },
    "train.py": {
        "training_arguments": "Trainer's arguments are an object",
        "mean_loss": "Trainer takes a function ...",
        "loss_of": "the same, made for a recipe",
        "MeanLoss": "... and Keras an object",
    },
}
# Their files have the same purpose, and the ways to it share one function.
OWN = {"step_trace.py": {"step_trace"}}

FOLDERS = {name: backend.folder for name, backend in backends().items()}

pytestmark = [pytest.mark.once, pytest.mark.smoke]


def public_names(path: Path) -> list[str]:
    """Functions, classes, their public methods, and what comes from a shared module; in
    order."""
    found = []
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.append(node.name)
        elif isinstance(node, ast.ClassDef):
            found.append(node.name)
            if node.name == "Session":
                methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
                found += [f"Session.{method.name}" for method in methods]
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute):
            found += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [name for name in found if not name.split(".")[-1].startswith("_")]


def files_of(backend: str) -> dict[str, Path]:
    """By their path; that of a package is called as if it had no folder: `own_model.py`."""
    paths = {path.relative_to(FOLDERS[backend]): path for path in FOLDERS[backend].rglob("*.py")}
    return {
        inside.as_posix().replace("/__init__.py", ".py"): path for inside, path in paths.items()
    }


FILES_OF = {name: files_of(name) for name in FOLDERS}
EVERYWHERE = set.intersection(*map(set, FILES_OF.values()))


def test_they_have_the_same_files() -> None:
    anywhere = set.union(*map(set, FILES_OF.values()))
    assert anywhere - EVERYWHERE == set(FILES)
    assert {"train.py", "device.py", "step_trace.py", "optimizer.py"} <= EVERYWHERE


@pytest.mark.parametrize("name", sorted(EVERYWHERE))
def test_a_file_has_the_same_names_in_the_same_order(name: str) -> None:
    names = {backend: public_names(files[name]) for backend, files in FILES_OF.items()}
    everywhere = set.intersection(*map(set, names.values()))
    if name in OWN:
        assert everywhere >= OWN[name]
        return
    anywhere = set.union(*map(set, names.values()))
    assert everywhere, names
    assert anywhere - everywhere == set(NAMES.get(name, {})), "without a reason in this file"
    for one, other in combinations(names, 2):
        common = [[n for n in names[backend] if n in everywhere] for backend in (one, other)]
        assert common[0] == common[1], f"{one} and {other} have them in another order"
