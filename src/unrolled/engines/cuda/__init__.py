"""The compiled engine for GPUs: the loop of a plan as one launch of a CUDA function. torch computes all else.

    Loop ──lower, place──▶ statements over buffers ──tasks──▶ tasks ──phases──▶ phases ──render──▶ text ──nvrtc──▶ cubin

A step is a list of **tasks**. A task computes some entries for each sequence, and entry j belongs to thread j modulo
the number of threads of a sequence. Most operations need only the entry of the same thread. A product, a sum or a
softmax needs a whole vector, so the threads wait before it: there a **phase** ends. ``phases.py`` finds these places
from what each task reads and writes, so no barrier is missing, and two tasks that do not need one share a phase. An
LSTM or a GRU waits twice in a step.

There are two kinds of launch (``shape.py``), and one text for both; only the macros at its beginning differ
(``prelude.cu``). In a **tile**, a block takes some sequences through all their steps, and only its own threads wait
for each other: for small networks and large batches. In a **grid**, all blocks share the entries of all sequences,
each block keeps its part of the weights in shared memory for the whole sequence, and all blocks wait for each other,
in a cooperative launch: for weights that one processor would have to read again at every step.

A sequence gives the same bits in every batch: sums are added in an order that depends on sizes and threads alone, no
operation is fused but the multiply-adds of products, and there are no atomic additions of numbers. The text includes
nothing. Batch size and length are arguments of a launch; of the batch, only the number of lanes, a power of two, is
part of the text. Offsets have 64 bits. The tests run the same text on a CPU, thread by thread
(``tests/cuda_on_cpu.c``).
"""
