"""How each framework does the work: one contract and twin packages that fulfil it.

FTBENCH_BACKENDS names further folders with backends, each a folder of its own as here."""

import os

_named = filter(None, os.environ.get("FTBENCH_BACKENDS", "").split(os.pathsep))
_folders = [os.path.abspath(os.path.expanduser(path)) for path in _named]
if _folders:
    os.environ["FTBENCH_BACKENDS"] = os.pathsep.join(_folders)  # workers run in another folder
__path__ += _folders
