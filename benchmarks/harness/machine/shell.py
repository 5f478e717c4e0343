"""Which variables of the user's shell a child process inherits.

A child's environment is built from a list of what is passed on: what the operating system, CUDA,
caches and proxies need. Everything else stays out, because frameworks, launchers and libraries read
hundreds of variables that change what they do.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

# Where things are, and how text is written. None of them changes what a framework computes.
PASSED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "HOSTNAME"),
    *("LANG", "LANGUAGE", "LC_*", "TZ", "TZDIR", "LOCPATH", "TMPDIR", "TEMP", "TMP"),
    *("LD_LIBRARY_PATH", "NIX_LD", "NIX_LD_LIBRARY_PATH"),
    # Where Python finds packages: a development checkout, a cluster's modules, a user's own folder.
    *("PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONUSERBASE", "PYTHONPLATLIBDIR"),
    *("PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "PYTHONUTF8", "PYTHONCOERCECLOCALE"),
    *("EBPYTHONPREFIXES", "VIRTUAL_ENV", "CONDA_PREFIX"),
    # Which GPUs there are, and where their software is.
    *("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDNN_PATH", "CUDNN_HOME"),
    *("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"),
    *("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"),
    *("TRITON_PTXAS_PATH", "TRITON_LIBCUDA_PATH"),
    # Where a compiler finds headers and libraries.
    *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH"),
    # Caches.
    *("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "FTBENCH_*"),
    *("HF_HOME", "HF_HUB_CACHE", "HF_ASSETS_CACHE", "HF_XET_CACHE", "HF_DATASETS_CACHE"),
    *("HF_MODULES_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"),
    *("CUDA_CACHE_PATH", "CUDA_CACHE_MAXSIZE", "TORCH_HOME", "TORCH_EXTENSIONS_DIR"),
    *("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "TRITON_HOME", "NUMBA_CACHE_DIR"),
    # The network.
    *("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)
# Passed on too, and recorded, because they change figures: limits on instruction sets, which test a
# processor as if it were an older one; limits of a shared GPU; compilers; preloaded libraries.
RECORDED = (
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "OPENBLAS_CORETYPE"),
    *("MKL_ENABLE_INSTRUCTIONS", "NPY_DISABLE_CPU_FEATURES"),
    *("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"),
    *("CC", "CXX", "LD_PRELOAD"),
)
# One variable holds many switches. Of those, these name a place or limit the instruction sets.
XLA_FLAGS, XLA_PASSED = "XLA_FLAGS", ("--xla_cpu_max_isa=", "--xla_gpu_cuda_data_dir=")
# Stays out and changes what any framework does; a backend names those of its own framework. Images
# set CUDA_VERSION, PYTHON_VERSION and the like, so those families are listed one by one.
MATTERS = (
    # Threads, their places, and memory allocators.
    *("OMP_*", "KMP_*", "GOMP_*", "MKL_*", "OPENBLAS_*", "GOTO_*", "BLIS_*", "VECLIB_*"),
    *("NUMEXPR_*", "TBB_*", "MALLOC_*", "JEMALLOC_*", "_RJEM_MALLOC_CONF", "TCMALLOC_*"),
    *("GLIBC_TUNABLES", "LD_AUDIT", "LD_BIND_NOW", "LRU_CACHE_CAPACITY"),
    # Arithmetic and debugging of the libraries below the frameworks.
    *("ONEDNN_*", "DNNL_*", "MKLDNN_*", "ZENDNN_*", "NPY_*", "XLA_*", "TRITON_*"),
    *("CUBLAS_*", "CUBLASLT_*", "CUDNN_LOG*", "CUDNN_FRONTEND_*", "CUDNN_ERRATA_JSON_FILE"),
    *("CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING", "CUDA_MODULE_DATA_LOADING"),
    *("CUDA_DEVICE_MAX_CONNECTIONS", "CUDA_DEVICE_ORDER", "CUDA_DISABLE_PTX_JIT"),
    *("CUDA_FORCE_*", "CUDA_AUTO_BOOST", "CUDA_SCALE_LAUNCH_QUEUES", "CUDA_INJECTION64_PATH"),
    *("CUDA_MANAGED_FORCE_DEVICE_ALLOC", "NVIDIA_TF32_OVERRIDE"),
    # Launchers and clusters: a process that finds these waits for others.
    *("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE"),
    *("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    *("SLURM_*", "OMPI_*", "PMI_*", "PMIX_*", "MPI_*", "MPIR_*", "MV2_*", "I_MPI_*", "HYDRA_*"),
    *("PALS_*", "FLUX_*", "JSM_*", "LSB_*", "PBS_*", "SM_*", "TPU_*", "HOROVOD_*"),
    # The interpreter.
    *("PYTHONOPTIMIZE", "PYTHONHASHSEED", "PYTHONMALLOC", "PYTHONMALLOCSTATS", "PYTHONDEVMODE"),
    *("PYTHONWARNINGS", "PYTHONTRACEMALLOC", "PYTHONFAULTHANDLER", "PYTHONINSPECT"),
    *("PYTHONVERBOSE", "PYTHONPROFILEIMPORTTIME", "PYTHONSAFEPATH", "PYTHONDUMPREFS"),
    *("PYTHON_GIL", "PYTHON_JIT", "PYTHON_CPU_COUNT", "PYTHON_TLBC", "PYTHONPERFSUPPORT"),
    *("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"),
)
LISTED = 3  # variables of one family that are named one by one


def inherited(shell: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a child process inherits, those included that are recorded. Folders of PYTHONPATH are
    absolute, because a child runs in another folder."""
    found = {n: v for n, v in shell.items() if _matches(n, PASSED)} | recorded(shell)
    if found.get("PYTHONPATH"):
        folders = found["PYTHONPATH"].split(os.pathsep)
        found["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, folders))
    return found


def recorded(shell: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a child process inherits on purpose although it changes figures."""
    found = {name: shell[name] for name in RECORDED if shell.get(name)}
    flags = [flag for flag in shell.get(XLA_FLAGS, "").split() if flag.startswith(XLA_PASSED)]
    return found | ({XLA_FLAGS: " ".join(flags)} if flags else {})


def left_out(own: Iterable[str] = (), shell: Mapping[str, str] = os.environ) -> list[str]:
    """The names of the variables that a child does not inherit and that would have changed what it
    does. `own` are patterns of the frameworks in use. Large families are named once, 'SLURM_* (63)':
    values are never shown, some are secrets."""
    passed, patterns = inherited(shell), (*MATTERS, *own)
    names = sorted(
        name
        for name, value in shell.items()
        if passed.get(name) != value and name != "PYTHONPATH" and _matches(name, patterns)
    )
    families: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        families[re.split("(?<=.)_", name)[0]].append(name)
    return [
        text
        for family, members in families.items()
        for text in (
            members if len(members) <= LISTED else [f"{family}_* ({len(members)} variables)"]
        )
    ]


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
