"""A worker's environment is built: what is passed on, what is set, what stays out and is named.

Cases come from public reports of shells, images and clusters that changed what a training did."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.harness.errors import UserError
from benchmarks.harness.jobs import environment
from benchmarks.harness.machine import shell
from frameworks.contract import backends
from results.schema import Device

pytestmark = [pytest.mark.once, pytest.mark.smoke]

TORCH, TENSORFLOW = backends()["hf_torch"].variables, backends()["hf_tf"].variables
# name, value, and the patterns of the backend that it would have changed
HOSTILE = [
    # torchrun, SLURM, Open MPI, Intel MPI, MVAPICH, SageMaker, Kubernetes' TPU operator
    ("WORLD_SIZE", "4", ()),
    ("LOCAL_RANK", "0", ()),
    ("RANK", "0", ()),
    ("MASTER_ADDR", "127.0.0.1", ()),
    ("MASTER_PORT", "29517", ()),
    ("SLURM_PROCID", "0", ()),
    ("SLURM_CPUS_PER_TASK", "1", ()),
    ("OMPI_COMM_WORLD_SIZE", "2", ()),
    ("PMI_RANK", "0", ()),
    ("PMIX_RANK", "0", ()),
    ("MV2_COMM_WORLD_RANK", "0", ()),
    ("I_MPI_PIN_DOMAIN", "core", ()),
    ("SM_FRAMEWORK_PARAMS", "{}", ()),
    ("TPU_NAME", "local", ()),
    ("HOROVOD_FUSION_THRESHOLD", "0", ()),
    ("TORCHELASTIC_RUN_ID", "x", TORCH),
    ("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}}', TENSORFLOW),
    # accelerate, transformers
    ("ACCELERATE_MIXED_PRECISION", "bf16", TORCH),
    ("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR", TORCH),
    ("ACCELERATE_USE_FSDP", "true", TORCH),
    ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4", TORCH),
    ("FSDP_CPU_RAM_EFFICIENT_LOADING", "1", TORCH),
    ("PARALLELISM_CONFIG_DP_SHARD_SIZE", "2", TORCH),
    ("USE_TORCH", "0", TORCH),
    ("USE_TORCH_XLA", "1", TORCH),
    ("PJRT_DEVICE", "CPU", TORCH),
    ("TRANSFORMERS_VERBOSITY", "debug", TORCH),
    # PyTorch
    ("TORCHDYNAMO_DISABLE", "1", TORCH),
    ("TORCHDYNAMO_SUPPRESS_ERRORS", "1", TORCH),
    ("TORCH_COMPILE_DISABLE", "1", TORCH),
    ("TORCHINDUCTOR_MAX_AUTOTUNE", "1", TORCH),
    ("TORCH_LOGS", "+dynamo", TORCH),
    ("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1", TORCH),
    ("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True", TORCH),
    ("PYTORCH_ALLOC_CONF", "backend:cudaMallocAsync", TORCH),
    ("PYTORCH_NO_CUDA_MEMORY_CACHING", "1", TORCH),
    ("FLASH_ATTENTION_DETERMINISTIC", "1", TORCH),
    # TensorFlow and Keras
    ("TF_XLA_FLAGS", "--tf_xla_auto_jit=2", TENSORFLOW),
    ("TF_ENABLE_ONEDNN_OPTS", "0", TENSORFLOW),
    ("TF_DETERMINISTIC_OPS", "1", TENSORFLOW),
    ("TF_NUM_INTRAOP_THREADS", "1", TENSORFLOW),
    ("TF_FORCE_GPU_ALLOW_GROWTH", "true", TENSORFLOW),
    ("TF_GPU_ALLOCATOR", "cuda_malloc_async", TENSORFLOW),
    ("TF_GPU_THREAD_MODE", "gpu_private", TENSORFLOW),
    ("TF_SET_ONEDNN_FPMATH_MODE", "BF16", TENSORFLOW),
    ("TF_CPU_ALLOCATOR_USE_BFC", "1", TENSORFLOW),
    ("TF_OVERRIDE_GLOBAL_THREADPOOL", "1", TENSORFLOW),
    ("TF_USE_LEGACY_KERAS", "0", TENSORFLOW),
    ("TF2_BEHAVIOR", "0", TENSORFLOW),
    ("KERAS_BACKEND", "torch", TENSORFLOW),
    ("KERAS_HOME", "/home/me/keras", TENSORFLOW),
    ("KERAS_MAX_STEPS_PER_EPOCH", "1", TENSORFLOW),
    ("KERAS_MAX_EPOCHS", "1", TENSORFLOW),
    # threads, allocators, arithmetic
    ("OMP_NUM_THREADS", "1", ()),
    ("OMP_PROC_BIND", "true", ()),
    ("OMP_WAIT_POLICY", "ACTIVE", ()),
    ("KMP_AFFINITY", "granularity=fine,compact,1,0", ()),
    ("KMP_BLOCKTIME", "0", ()),
    ("GOMP_CPU_AFFINITY", "0", ()),
    ("MKL_NUM_THREADS", "1", ()),
    ("MKL_CBWR", "COMPATIBLE", ()),
    ("MKL_DYNAMIC", "FALSE", ()),
    ("OPENBLAS_NUM_THREADS", "1", ()),
    ("NUMEXPR_NUM_THREADS", "1", ()),
    ("MALLOC_ARENA_MAX", "1", ()),
    ("MALLOC_CONF", "dirty_decay_ms:0", ()),
    ("MALLOC_PERTURB_", "1", ()),
    ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", ()),
    ("LRU_CACHE_CAPACITY", "1", ()),
    ("ONEDNN_DEFAULT_FPMATH_MODE", "BF16", ()),
    ("ONEDNN_VERBOSE", "2", ()),
    ("DNNL_PRIMITIVE_CACHE_CAPACITY", "0", ()),
    ("CUDA_LAUNCH_BLOCKING", "1", ()),
    ("CUDA_MODULE_LOADING", "EAGER", ()),
    ("CUDA_DEVICE_MAX_CONNECTIONS", "1", ()),
    ("NVIDIA_TF32_OVERRIDE", "0", ()),
    ("CUBLAS_WORKSPACE_CONFIG", ":4096:8", ()),
    ("TRITON_INTERPRET", "1", ()),
    ("XLA_FLAGS", "--xla_cpu_enable_fast_math=true", ()),
    ("XLA_PYTHON_CLIENT_PREALLOCATE", "false", ()),
    # the interpreter
    ("PYTHONOPTIMIZE", "2", ()),
    ("PYTHONHASHSEED", "7", ()),
    ("PYTHONMALLOC", "debug", ()),
    ("PYTHONWARNINGS", "error", ()),
    ("PYTHONDEVMODE", "1", ()),
    ("PYTHONINSPECT", "1", ()),
    ("PYTHONTRACEMALLOC", "1", ()),
    ("COVERAGE_PROCESS_START", ".coveragerc", ()),
]
QUIET = {  # stays out, and no figure would have changed
    "WANDB_API_KEY": "secret",
    "MLFLOW_TRACKING_URI": "http://tracker",
    "COMET_API_KEY": "secret",
    "CLEARML_TASK": "1",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "CUDA_VERSION": "12.4.1",
    "NV_CUDA_LIB_VERSION": "12.4.1-1",
    "PYTHON_VERSION": "3.11.9",
    "PYTHONSTARTUP": "/home/me/.pythonrc",
    "PS1": "$",
    "KUBERNETES_PORT": "tcp://10.0.0.1:443",
}
PASSED = {
    "PATH": "/usr/bin",
    "HOME": "/home/me",
    "LC_ALL": "de_DE.UTF-8",
    "TMPDIR": "/scratch",
    "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
    "CUDA_VISIBLE_DEVICES": "1",
    "CUDA_MPS_PIPE_DIRECTORY": "/tmp/mps",
    "HF_HOME": "/data/hf",
    "FTBENCH_CACHE": "/data/ftbench",
    "FTBENCH_BACKENDS": "/home/me/backends",
    "https_proxy": "http://proxy:3128",
    "NO_PROXY": "localhost",
    "SSL_CERT_FILE": "/etc/ca.pem",
    "PYTHONNOUSERSITE": "1",
    "TORCHINDUCTOR_CACHE_DIR": "/scratch/inductor",
    "CPATH": "/opt/include",
}
RECORDED = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F",
    "OPENBLAS_CORETYPE": "Haswell",
    "LD_PRELOAD": "/usr/lib/libjemalloc.so.2",
    "CXX": "/bin/false",
}


@pytest.mark.parametrize(("name", "value", "own"), HOSTILE, ids=[name for name, _, _ in HOSTILE])
def test_what_changes_a_framework_stays_out_and_is_named(
    name: str, value: str, own: tuple[str, ...]
) -> None:
    variables = PASSED | {name: value}
    assert shell.inherited(variables) == PASSED
    assert shell.left_out(own, variables) == [name]


def test_what_changes_nothing_stays_out_unnamed() -> None:
    assert shell.inherited(QUIET) == {}
    assert shell.left_out((*TORCH, *TENSORFLOW), QUIET) == []


def test_places_are_passed_and_limits_are_recorded() -> None:
    assert shell.inherited(PASSED | RECORDED) == PASSED | RECORDED
    assert shell.recorded(PASSED | RECORDED) == RECORDED
    assert shell.left_out((*TORCH, *TENSORFLOW), PASSED | RECORDED) == []
    assert shell.recorded({"CXX": "", "LD_PRELOAD": ""}) == {}  # a compiler of no name


@pytest.mark.parametrize(
    ("flags", "passed", "named"),
    [
        ("--xla_cpu_max_isa=AVX2", "--xla_cpu_max_isa=AVX2", []),
        ("--xla_gpu_cuda_data_dir=/opt/cuda", "--xla_gpu_cuda_data_dir=/opt/cuda", []),
        (
            "--xla_cpu_max_isa=AVX2 --xla_gpu_autotune_level=0",
            "--xla_cpu_max_isa=AVX2",
            ["XLA_FLAGS"],
        ),
        ("--xla_dump_to=/tmp/x", None, ["XLA_FLAGS"]),
    ],
)
def test_of_xla_flags_only_places_and_limits_pass(
    flags: str, passed: str | None, named: list[str]
) -> None:
    assert shell.recorded({"XLA_FLAGS": flags}).get("XLA_FLAGS") == passed
    assert shell.left_out((), {"XLA_FLAGS": flags}) == named


def test_a_large_family_is_named_once() -> None:
    job = {f"SLURM_{name}": "1" for name in ("PROCID", "NTASKS", "JOB_ID", "LOCALID", "NNODES")}
    assert shell.left_out((), job | {"RANK": "0"}) == ["RANK", "SLURM_* (5 variables)"]


def test_folders_of_the_import_path_are_absolute() -> None:
    path = os.pathsep.join(["src", "", "/opt/modules"])
    here = os.getcwd()
    expected = os.pathsep.join([os.path.join(here, "src"), here, "/opt/modules"])
    assert shell.inherited({"PYTHONPATH": path}) == {"PYTHONPATH": expected}
    assert shell.left_out((), {"PYTHONPATH": path}) == []


@pytest.mark.parametrize("backend", list(backends()))
def test_all_workers_are_given_one_number_of_threads(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in HOSTILE_DICT.items():
        monkeypatch.setenv(name, value)
    variables = environment.worker_environment(backend, None, 3)
    assert variables["OMP_NUM_THREADS"] == "3" and variables["PYTHONHASHSEED"] == "0"
    assert environment.thread_count(backend, variables) == 3
    process = environment.process_environment(variables)
    assert process["PATH"] == os.environ["PATH"]
    ours = set(variables)
    assert not (set(HOSTILE_DICT) - ours) & set(process)
    assert all(process[name] == value for name, value in variables.items())


HOSTILE_DICT = {name: value for name, value, _ in HOSTILE}


def test_threads_that_a_profile_sets_unevenly_have_no_number() -> None:
    one = environment.worker_environment("hf_tf", None, 2)
    assert environment.thread_count("hf_tf", one | {"OMP_NUM_THREADS": "1"}) is None
    assert environment.thread_count("hf_tf", one | dict.fromkeys(one, "many")) is None


def test_only_the_backends_of_a_run_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in shell.left_out((*TORCH, *TENSORFLOW)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "1")
    assert "KERAS_MAX_EPOCHS" not in environment.left_out(["hf_torch"])
    assert "TORCHDYNAMO_DISABLE" in environment.left_out(["hf_torch"])
    assert "KERAS_MAX_EPOCHS" in environment.left_out(["hf_torch", "keras_rnn"])


GPU = Device(kind="gpu", name="NVIDIA T4", memory_bytes=1, cores=1, uuid="GPU-89aa10b2")


@pytest.mark.parametrize(
    ("device", "visible"),
    [
        (GPU, "GPU-89aa10b2"),
        (GPU.model_copy(update={"uuid": None}), "1"),
        (GPU.model_copy(update={"kind": "cpu"}), ""),
        (None, ""),
    ],
)
def test_a_worker_sees_the_gpu_of_its_job_and_no_other(
    device: Device | None, visible: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one would be used too: Trainer spreads every batch over all GPUs that it sees."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    found = environment.worker_environment("hf_torch", device, 1)
    assert found["CUDA_VISIBLE_DEVICES"] == visible
    assert found["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"  # or an index is another GPU than NVML's


def test_variables_that_somebody_chose_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that ftbench sets itself are not; threads and compilers are told elsewhere."""
    for name in shell.RECORDED:
        monkeypatch.delenv(name, raising=False)
    own = environment.worker_environment("hf_tf", GPU, 2)
    assert environment.chosen_variables("hf_tf", own) == "none"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("LD_PRELOAD", "")
    around = environment.worker_environment("hf_tf", None, 2) | {
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "LD_PRELOAD": "/usr/lib/libjemalloc.so.2",
        "CXX": "/bin/false",
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "7",
    }
    assert environment.chosen_variables("hf_tf", around) == (
        "LD_PRELOAD, ONEDNN_MAX_CPU_ISA=AVX2, PYTHONHASHSEED=7, TF_ENABLE_ONEDNN_OPTS=0"
    )


def test_kernels_that_the_driver_compiles_are_kept_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow's package has none for Hopper: compiling them takes minutes, and more than the driver's
    own limit of a cache."""
    monkeypatch.setenv("FTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CUDA_CACHE_PATH", raising=False)
    of_gpu = environment.process_environment(environment.worker_environment("hf_tf", GPU, 1))
    kernels = tmp_path / "cache" / "cuda-kernels"
    assert of_gpu["CUDA_CACHE_PATH"] == str(kernels) and kernels.is_dir()
    assert of_gpu["CUDA_CACHE_MAXSIZE"] == str(4 * 2**30)
    of_cpu = environment.process_environment(environment.worker_environment("hf_tf", None, 1))
    assert "CUDA_CACHE_PATH" not in of_cpu
    monkeypatch.setenv("CUDA_CACHE_PATH", "/mine")
    own = environment.process_environment(environment.worker_environment("hf_torch", GPU, 1))
    assert own["CUDA_CACHE_PATH"] == "/mine"
    monkeypatch.delenv("CUDA_CACHE_PATH")
    (tmp_path / "file").touch()
    monkeypatch.setenv("FTBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot write .*cuda-kernels .*set FTBENCH_CACHE"):
        environment.process_environment(environment.worker_environment("hf_torch", GPU, 1))
