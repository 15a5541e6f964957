"""Several processes that each answer a part, on one machine.

Knows how they are started, watched and ended; what a part is, is in
:mod:`med2e3.evaluation.answers`.  For several machines start each part with ``--shard`` there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import med2e3
from med2e3.errors import Med2E3Error

_LOOK_EVERY_S = 0.2
#: what limits the threads of torch, numpy and the tokenizers in a process
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run_parts(arguments: Sequence[Sequence[str]], watch: Callable[[], None]) -> None:
    """Run ``med2e3`` with each list of arguments at the same time.

    Processors are shared out evenly, and so are the GPUs of ``CUDA_VISIBLE_DEVICES``.  When one
    process fails the others are ended.

    Args:
        arguments: of each process.
        watch: called again and again while they run.

    Raises:
        Med2E3Error: when a process failed; it has said why.
    """
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number, words in enumerate(arguments):
            command = [sys.executable, "-m", "med2e3.cli.main", *words]
            environment = _environment(number, len(arguments))
            started.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
        while True:
            codes = [process.poll() for process in started]
            if any(codes):
                raise Med2E3Error(
                    "A process of the evaluation failed; what was answered so far is kept.",
                    hint="Run the same command again to go on.",
                    detail=f"exit codes {codes}",
                )
            if None not in codes:
                return
            watch()
            time.sleep(_LOOK_EVERY_S)
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()
        for process in started:
            process.wait()


def _environment(number: int, count: int) -> dict[str, str]:
    package = str(Path(med2e3.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))
    threads = str(max(1, (os.cpu_count() or 1) // count))
    environment = dict(os.environ, PYTHONPATH=path)
    environment |= {name: os.environ.get(name, threads) for name in _THREAD_VARIABLES}
    gpus = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
    if len(gpus) > 1:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    return environment
