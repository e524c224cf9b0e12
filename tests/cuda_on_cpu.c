/* CUDA text on a CPU. Before the text: what CUDA has and C has not. After it, with DRIVER defined: a driver that runs every
   thread of every block. Threads take turns: each runs until it waits at a barrier. */

#ifndef DRIVER
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __global__
#define __device__
#define __shared__
#define __launch_bounds__(threads, blocks)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __syncthreads() wait_at(__LINE__)
#define EXPORT static

static struct { int x, y; } threadIdx;
static struct { int64_t x; } blockIdx;
static void wait_at(int line);

#else
#define THREADS (WIDTH * DEPTH)
#define STACK 65536
#define GUARD 4096 /* bytes behind shared memory, which must stay as they are */

char shared[SHARED + GUARD];
static ucontext_t driver, thread[THREADS];
static int waits_at[THREADS], current; /* the line of the barrier; 0 if the thread has ended */
static const arguments *given;
static uint64_t random_state;

static void wait_at(int line) {
    waits_at[current] = line;
    swapcontext(&thread[current], &driver);
}

static void enter(void) {
    run(*given);
    waits_at[current] = 0;
}

static void shuffle(int64_t *order, int64_t count) {
    for (int64_t i = 0; i < count; i++) order[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        const int64_t k = (int64_t)((random_state >> 33) % (uint64_t)(i + 1)), other = order[k];
        order[k] = order[i], order[i] = other;
    }
}

/* Run all blocks in random order, and the threads of a phase in random order. All scratch memory is NaN at first. Returns 0;
   1 if threads wait at different barriers; 2 if memory behind the shared memory was written. */
int drive(const arguments *all, int64_t blocks, uint64_t seed) {
    static char stacks[THREADS][STACK];
    int64_t *const order = malloc(blocks * sizeof *order), turns[THREADS];
    int wrong = 0;
    given = all, random_state = seed;
    shuffle(order, blocks);
    for (int64_t i = 0; i < blocks && !wrong; i++) {
        blockIdx.x = order[i];
        memset(shared, 0xff, sizeof shared);
        memset(all->room + order[i] * ROOM, 0xff, ROOM);
        for (int n = 0; n < THREADS; n++) {
            getcontext(&thread[n]);
            thread[n].uc_stack.ss_sp = stacks[n], thread[n].uc_stack.ss_size = STACK, thread[n].uc_link = &driver;
            makecontext(&thread[n], enter, 0);
        }
        do {
            shuffle(turns, THREADS);
            for (int n = 0; n < THREADS; n++) {
                current = (int)turns[n];
                threadIdx.x = current % WIDTH, threadIdx.y = current / WIDTH;
                swapcontext(&driver, &thread[current]);
            }
            for (int n = 1; n < THREADS; n++) wrong |= waits_at[n] != waits_at[0];
        } while (waits_at[0] && !wrong);
        for (int n = 0; n < GUARD; n++) if (shared[SHARED + n] != (char)0xff) wrong = 2;
    }
    free(order);
    return wrong;
}
#endif
