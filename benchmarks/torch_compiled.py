"""The loop over the step under torch.compile, in a process of its own, since compiling may time out."""

from __future__ import annotations

import os

import torch

from unrolled.speed.contestants import torch_compiled
from unrolled.speed.process import serve

if __name__ == "__main__":
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.getcwd()  # this process's own folder, so that each run compiles again
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    serve(torch_compiled)
