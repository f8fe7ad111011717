"""Describes this machine and measures what it can do; nothing is assumed."""

import ctypes
import functools
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


def on_gpu(accelerator: object = "auto") -> bool:
    """Returns whether a run with this --trainer.accelerator will be on a GPU (CUDA, MPS)."""
    return accelerator != "cpu" and torch.accelerator.is_available()


def computes_bf16(accelerator: object = "auto") -> bool:
    """Returns whether the processor, or the GPU, computes bf16 in hardware, not by emulation."""
    if not on_gpu(accelerator):  # torch has no public function for these two
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def gains_by_bf16(accelerator: object = "auto") -> bool:
    """Returns whether bf16 is faster than fp32; on a CPU measured, in a tenth of a second, once a process.

    Hardware support is not enough: AVX512-BF16 is four times as fast as fp32 on AMD's Zen 5, but slower on an Intel
    processor without AMX, as in many virtual machines.
    """
    return computes_bf16(accelerator) and (on_gpu(accelerator) or _bf16_is_faster())


@functools.cache
def _bf16_is_faster() -> bool:
    cpu = torch.device("cpu")
    return flops(cpu, torch.bfloat16, size=768) > flops(cpu, torch.float32, size=768)


def best_precision(accelerator: object = "auto") -> str:
    """Chooses bf16-mixed where that is faster than fp32, else 16-mixed on CUDA and 32-true elsewhere."""
    if gains_by_bf16(accelerator):
        return "bf16-mixed"
    return "16-mixed" if on_gpu(accelerator) and torch.cuda.is_available() else "32-true"


def has_compiler() -> bool:
    """Returns whether there is the C++ compiler that torch.compile needs on a CPU."""
    named = os.environ.get("CXX")
    return any(shutil.which(program) for program in ([named] if named else ["g++", "clang++", "cl"]))


@functools.cache
def flops(device: torch.device, dtype: torch.dtype, size: int | None = None) -> float:
    """Measures floating-point operations per second in a large matrix product, the best of several; once a process."""
    size = size or (8192 if device.type == "cuda" else 1536)
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / min(_seconds(lambda: a @ b, device))


def bandwidth(size: int = 2**27) -> float:
    """Measures memory bandwidth in bytes/s, read and written, by a copy too large for any cache."""
    source = torch.ones(size, dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2 * size / statistics.median(_seconds(lambda: target.copy_(source), torch.device("cpu")))


def _seconds(work: Callable[[], object], device: torch.device, repeats: int = 5) -> list[float]:
    def finish() -> None:
        if device.type != "cpu":
            torch.accelerator.synchronize(device)

    work()
    times = []
    for _ in range(repeats):
        finish()
        start = time.perf_counter()
        work()
        finish()
        times.append(time.perf_counter() - start)
    return times


@dataclass(frozen=True)
class Machine:
    """A machine's description, to be reported beside any figure."""

    processor: str
    cores: int
    memory_gb: float
    gpu: str | None
    bf16: bool
    compiler: bool
    python: str
    torch: str

    def __str__(self) -> str:
        gpu = f", {self.gpu}" if self.gpu else ""
        bf16 = "bf16" if self.bf16 else "no bf16"
        return (
            f"{self.cores} cores of {self.processor}{gpu}, {self.memory_gb:.0f} GB, {bf16}, "
            f"Python {self.python}, torch {self.torch}"
        )


def describe() -> Machine:
    """Describes this machine."""
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gb=memory() / 1e9,
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else "MPS" if on_gpu() else None,
        bf16=computes_bf16(),
        compiler=has_compiler(),
        python=platform.python_version(),
        torch=torch.__version__.split("+")[0],
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def memory(accelerator: object = "cpu") -> int:
    """Returns the bytes of memory that a run with this --trainer.accelerator has; 0 where that can't be known."""
    if on_gpu(accelerator) and torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # Windows
        return 0


def too_much(needed: int, accelerator: object = "cpu") -> str | None:
    """Says how much memory is needed and how much there is, if that is less; None if it is enough."""
    there = memory(accelerator) or 2**50  # where it can't be known, what no machine has
    if needed <= there:
        return None
    return f"{in_bytes(needed)}, and this machine has {in_bytes(there)}"


def in_bytes(count: int) -> str:
    """Formats a number of bytes, however large."""
    unit, names = 1000, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
    while count >= 1000 * unit and len(names) > 1:
        unit, names = 1000 * unit, names[1:]
    whole = count // unit
    if whole >= 1000:
        return f"over 1,000 {names[0]}"
    return f"{count / unit:.0f} {names[0]}" if whole >= 10 else f"{count / unit:.1f} {names[0]}"


def keep_freed_memory() -> None:
    """Makes the allocator reuse freed memory; only with glibc, whose default returns it to the system.

    A training step frees all its activations, and the next step would need fresh pages for them: on two cores of a
    virtual machine up to 15 % of forward and backward.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_threshold = -1, -3  # their numbers in malloc.h
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(trim_threshold, -1)  # never
    mallopt(mmap_threshold, 2**30) or mallopt(mmap_threshold, 2**25)  # the largest that glibc before 2.35 takes


def out_of_memory(error: BaseException) -> bool:
    """Returns whether an error means too little memory; torch's CPU allocator says so only in words."""
    said = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error) for words in said)


def lost_process(error: BaseException) -> bool:
    """Returns whether an error means that another process of this run is gone; gloo says so only in words."""
    is_known = torch.distributed.is_available() and isinstance(error, torch.distributed.DistError)
    return is_known or (isinstance(error, RuntimeError) and "gloo" in str(error))


def processor_seconds() -> tuple[float, float, float] | None:
    """Returns seconds by the clock, of all processors at work, and of them for this process and its ended children.

    None elsewhere than on Linux.
    """
    try:
        with open("/proc/stat", encoding="utf-8") as file:
            user, nice, system, _, _, irq, soft_irq, stolen = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):
        return None
    busy = (user + nice + system + irq + soft_irq + stolen) / os.sysconf("SC_CLK_TCK")
    return time.monotonic(), busy, sum(os.times()[:4])


def busy_elsewhere(before: tuple[float, float, float] | None) -> float | None:
    """Returns how many cores others have kept busy since `processor_seconds` said `before`, stolen ones included."""
    now = processor_seconds()
    if before is None or now is None:
        return None
    clock, busy, own = (x - y for x, y in zip(now, before, strict=True))
    return max(0.0, busy - own) / clock


def process_age() -> float:
    """Returns the seconds since this process was started; elsewhere than on Linux, those that it has computed."""
    try:
        with open("/proc/self/stat", encoding="utf-8") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return time.process_time()


def peak_memory() -> int:
    """Returns this process's peak memory in bytes; 0 where that can't be measured."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
