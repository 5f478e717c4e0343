"""What a backend says about itself, and the search for all backends. Imports no framework."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from frameworks.contract.recipe import Device, Recipe
from frameworks.contract.weights.start import Start


class Unsupported(Exception):
    """A backend cannot honour one field of the recipe."""

    def __init__(self, backend: str, name: str, value: object, reason: str) -> None:
        super().__init__(f"{backend} cannot do {name} = {value!r}: {reason}")
        self.backend, self.field, self.value, self.reason = backend, name, value, reason


@dataclass(frozen=True)
class MemoryModel:
    """How a framework allocates memory, and which errors say that memory ran out."""

    reserve_mib: Mapping[int, int] = field(default_factory=dict)
    """What it leaves of a GPU to the system: MiB by the first number of the compute capability.
    The first and the last entry also hold beyond; empty: nothing."""
    takes_budget_at_once: bool = False
    """On a GPU it is always given a limit, because it then takes one region of that size."""
    out_of_memory: tuple[str, ...] = ()
    """Regular expressions for exceptions that say that memory ran out."""
    disguised_out_of_memory: tuple[str, ...] = ()
    """Regular expressions for exceptions that have this cause and say something else. Letter case
    is ignored."""
    not_out_of_memory: tuple[str, ...] = ()
    """Regular expressions for lines that sound like it and have another cause: a kernel that needs
    more shared memory than the GPU has, or a tensor with more elements than an index can count."""

    def reserve_bytes(self, compute_capability: str) -> int:
        if not self.reserve_mib:
            return 0
        major = int(compute_capability.split(".")[0])
        nearest = min(max(major, min(self.reserve_mib)), max(self.reserve_mib))
        return self.reserve_mib[nearest] * 2**20


@dataclass(frozen=True)
class Backend:
    """One way to train the classifier: a framework and a loop that its users call.

    `BACKENDS` in `frameworks/<folder>/__init__.py` lists those of a folder. A backend is predicted
    if its folder has `step_trace.py` and `calibration.toml`."""

    name: str
    """Name on the command line and in results."""
    title: str
    """Name in reports."""
    loop: str
    """What its users call to train."""
    package: str
    """Package of its folder, `__name__`. `<package>.train.Session` trains."""
    unsupported: Callable[[Recipe, Start, Device], list[Unsupported]]
    """Returns the recipe fields that it cannot honour, each with the reason."""
    requirements: tuple[str, ...]
    """Packages that must be installed."""
    extra: str
    """The optional dependency that installs them."""
    listed: bool = True
    """Whether it is measured where no backend is named; others have to be named."""
    position: int = 100
    """Place in lists and in a race. Equal ones are sorted by name."""
    reported_packages: tuple[str, ...] = ()
    """Packages whose versions can change a figure."""
    alternative_packages: Mapping[str, str] = field(default_factory=dict)
    """Another name under which a package may be installed."""
    family: str | None = None
    """Backends of one family train the same model, so certificates compare them."""
    architecture: str | None = None
    """Its own model; none: the checkpoint's model."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of its workers."""
    thread_variables: tuple[str, ...] = ("OMP_NUM_THREADS",)
    """Environment variables that set its number of threads; all workers are given the same."""
    variables: tuple[str, ...] = ()
    """Patterns of environment variables that change what its framework does, such as `TF_*`. Workers
    never inherit them; a run names those that were set."""
    callback_class: str | None = None
    """Base class of its users' callbacks, with its module; none: it takes no callbacks."""
    model_class: str | None = None
    """Base class of the models that its users make, with its module; none: it trains no model of theirs."""
    own_model: str | None = None
    """The user's function that makes the model, `module:function`; none: the model is ftbench's."""
    memory: MemoryModel = MemoryModel()
    """How its framework takes memory."""
    finders: tuple[str, ...] = ()
    """Functions in `finders.py`: its own ways to find a batch limit."""
    weights_converter: str | None = None
    """A module that turns pickled weights into safetensors."""

    @property
    def pretrained(self) -> bool:
        """Whether it starts from a checkpoint's weights; otherwise it uses only the tokenizer."""
        return self.architecture is None

    @property
    def folder(self) -> Path:
        return Path(importlib.import_module(self.package).__path__[0])


USERS_MODELS = "users' models"  # their family; they need not be the same model


class Backends(Mapping[str, Backend]):
    """Backends by name. Those that are not listed are found by their names only, as are those of users'
    models:
    `hf_torch.my_module.build` is `hf_torch` with the model that `build()` of `my_module` returns."""

    def __init__(self, known: Mapping[str, Backend]) -> None:
        self._known = known

    def __getitem__(self, name: str) -> Backend:
        if name in self._known:
            return self._known[name]
        framework, _, path = name.partition(".")
        module, _, function = path.rpartition(".")
        base = self._known.get(framework)
        if base is None or base.model_class is None or not module or not function:
            raise KeyError(name)
        return with_own_model(base, name, f"{module}:{function}")

    def __iter__(self) -> Iterator[str]:
        return (name for name, backend in self._known.items() if backend.listed)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def own_backend_name(framework: str, model: str) -> str:
    """'hf_torch.my_module.build': the backend that trains the model of `my_module:build`."""
    return f"{framework}.{model.replace(':', '.')}"


def with_own_model(base: Backend, name: str, model: str) -> Backend:
    def unsupported(recipe: Recipe, start: Start, device: Device) -> list[Unsupported]:
        found = base.unsupported(recipe, start, device)
        return [problem for problem in found if problem.field not in OF_THE_MODEL] + [
            Unsupported(name, field, getattr(recipe, field), reason)
            for field, reason in OF_THE_MODEL.items()
            if getattr(recipe, field)
        ]

    return replace(
        base,
        name=name,
        title=f"{base.title.split()[0]} {model}",
        unsupported=unsupported,
        family=USERS_MODELS,
        architecture=model,
        own_model=model,
        weights_converter=None,
    )


# Fields of the recipe that only a model can honour, and why a user's model does not.
OF_THE_MODEL = {
    "attention": "its model chooses its attention itself",
    "gradient_checkpointing": "its model decides itself what it computes again",
    "mistake": "its model may compute its loss itself",
}


@cache
def backends() -> Backends:
    """Every backend by name: what the folders in `frameworks/` list that are neither the contract
    nor begin with an underscore, and those in the folders that FTBENCH_BACKENDS names.

    Errors: ImportError for a folder that lists none, or a name that two backends have."""
    found: dict[str, Backend] = {}
    for backend in sorted(_listed(), key=lambda backend: (backend.position, backend.name)):
        if backend.name in found:
            folders = f"{found[backend.name].package} and {backend.package}"
            raise ImportError(f"backend {backend.name!r} is in two folders: {folders}")
        found[backend.name] = backend
    return Backends(found)


def _listed() -> Iterable[Backend]:
    for module in pkgutil.iter_modules(importlib.import_module("frameworks").__path__):
        if not module.ispkg or module.name == "contract" or module.name.startswith("_"):
            continue
        package = importlib.import_module(f"frameworks.{module.name}")
        if not hasattr(package, "BACKENDS"):
            raise ImportError(f"{package.__file__} lists no BACKENDS")
        yield from package.BACKENDS
