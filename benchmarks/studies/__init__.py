"""Studies of ftbench itself: how good its own answers are.

    ftbench predict --check RUN ...              predicted memory against what runs have measured
    ftbench limit --compare-finders              other ways to find the largest batch
    python -m benchmarks.studies.overhead        ftbench's jobs against scripts without ftbench
    python -m benchmarks.studies.first_gpu       what ftbench assumes of a GPU, checked on one
    python -m benchmarks.studies.overhead.phases where a step of PyTorch's Trainer spends its time

`published_steps` has training steps of other benchmarks, which `predict --check` traces in order to
compare predictions with published figures. The finders run within a limit's own search, because
they share its budget and are resumed with it: `benchmarks/harness/limits/finders.py`.
"""
