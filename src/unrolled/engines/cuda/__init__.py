"""The compiled engine for GPUs: the loop of a plan as one launch of a CUDA function. torch computes all else.

    Loop ──lower, place──▶ statements over buffers ──tasks──▶ tasks ──phases──▶ phases ──render──▶ text ──nvrtc──▶ cubin

A step is a list of **tasks**. A task computes some entries for each sequence, and entry j belongs to thread j modulo
the number of threads of a sequence. Most operations need only the entry of the same thread. A product, a sum or a
softmax needs a whole vector, so the threads wait before it: there a **phase** ends. ``phases.py`` finds these places
from what each task reads and writes, so no barrier is missing, and two tasks that do not need one share a phase. An
LSTM or a GRU waits twice in a step.

The launch kind is **tile**: a block takes some sequences through all their steps, and only its own threads wait for
each other. Weights come from the caches of the GPU, one load for all sequences of a thread. States and other values of
a step are in shared memory as far as they fit. A sequence gives the same bits in every batch: sums are added in an
order that depends on sizes alone, no operation is fused but the multiply-adds of products, and there are no atomic
additions.

The text includes nothing. Batch size and length are arguments of a launch, so they never cause a compilation. Offsets
have 64 bits. The tests run the same text on a CPU, thread by thread (``tests/cuda_on_cpu.c``).
"""
