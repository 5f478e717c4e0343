"""Logistic regression on token counts in plain NumPy: the smallest backend."""

from frameworks.contract import Backend, Device, Recipe, Start, Unsupported

ONLY = {
    "precision": "fp32",
    "accumulation": 1,
    "dropout": 0.0,
    "attention": None,
    "compile": False,
    "optimizer": "adamw",
    "mistake": None,
    "gradient_checkpointing": False,
}


def unsupported(recipe: Recipe, start: Start, device: Device) -> list[Unsupported]:
    """Every field that this backend cannot honour on this device."""
    found = {name: getattr(recipe, name) for name in ONLY}
    return [
        Unsupported("logistic", name, value, f"it can do {ONLY[name]!r} only")
        for name, value in found.items()
        if value not in (ONLY[name], None)
    ]


# Two of one family, so that they are certified against each other.
BACKENDS = tuple(
    Backend(
        name=name,
        title=title,
        loop="Session.train()",
        package=__name__,
        unsupported=unsupported,
        requirements=("numpy",),
        extra="tests",
        family="token counts",
        architecture="logistic",
    )
    for name, title in (("logistic", "Logistic"), ("logistic_twin", "Logistic twin"))
)
