"""The loop over the step under torch.compile, in a process of its own, since compiling may have to be ended."""

from __future__ import annotations

import os

import torch

from unrolled.speed.contestants import torch_compiled
from unrolled.speed.process import serve

if __name__ == "__main__":
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.getcwd()  # a folder of this process, so that each run compiles anew
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    serve(torch_compiled)
