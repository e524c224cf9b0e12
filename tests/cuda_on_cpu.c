/* CUDA text on a CPU. Before the text: what CUDA has and C has not. After it, with DRIVER defined: a driver that runs every
   thread of every block. One thread runs at a time, until it waits at a barrier or for other blocks. */

#ifndef DRIVER
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __global__
#define __device__
#define __launch_bounds__(threads, blocks)
#define __noinline__ __attribute__((noinline, unused))
#define __forceinline__ inline __attribute__((always_inline))
#define __syncthreads() wait_at(__LINE__)
#define __threadfence()
#define EXPORT static
#define SOME_AT_ONCE
#define SPIN wait_at(SPINNING)
#define SPINNING -1

static struct { int x, y; } threadIdx, blockIdx;
static char *shared; /* of the block that runs */
static void wait_at(int line);
static unsigned long long atomicAdd(unsigned long long *number, unsigned long long more) {
    const unsigned long long before = *number;
    *number += more;
    return before;
}

#else
#define OF_A_BLOCK (THREADS * DEPTH)
#define STACK 65536
#define GUARD 4096 /* bytes behind shared memory, which must stay as they are */
#define MOST_TURNS 10000 /* without a thread that gets on */

typedef struct {
    ucontext_t context;
    int block, x, y;
    int waits_at; /* the line of a barrier, SPINNING, or 0 while it runs and after its end */
    int ended;
} thread;

static ucontext_t driver;
static thread *current;
static const arguments *given;
static uint64_t random_state;

static void wait_at(int line) {
    current->waits_at = line;
    swapcontext(&current->context, &driver);
}

static void enter(void) {
    run(*given);
    current->ended = 1;
}

static uint64_t random_number(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return random_state >> 33;
}

static void shuffle(int64_t *order, int64_t count) {
    for (int64_t i = 0; i < count; i++) order[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        const int64_t k = (int64_t)(random_number() % (uint64_t)(i + 1)), other = order[k];
        order[k] = order[i], order[i] = other;
    }
}

/* Whether all threads of a block wait at one barrier; they may then go on. 1 if some wait elsewhere or have ended. */
static int released(thread *threads) {
    for (int n = 1; n < OF_A_BLOCK; n++)
        if (threads[n].ended != threads[0].ended || threads[n].waits_at != threads[0].waits_at) return 1;
    for (int n = 0; n < OF_A_BLOCK; n++) threads[n].waits_at = 0;
    return 0;
}

static int can_run(const thread *t) { return !t->ended && (t->waits_at == 0 || t->waits_at == SPINNING); }

/* Run all threads of all blocks in random order. Scratch memory is NaN at first. Returns 0; 1 if the threads of a block do
   not meet at one barrier; 2 if memory behind shared memory was written; 3 if no thread gets on. */
int drive(const arguments *all, int64_t blocks, uint64_t seed, int64_t room) {
    const int64_t count = blocks * OF_A_BLOCK;
    thread *const threads = calloc(count, sizeof *threads);
    char *const stacks = malloc(count * STACK), *const memory = malloc(blocks * (SHARED + GUARD));
    int64_t *const order = malloc(count * sizeof *order), *const paused = malloc(blocks * sizeof *paused), running = 1;
    int wrong = 0, turns = 0;
    given = all, random_state = seed;
    memset(all->room, 0xff, room);
    memset(memory, 0xff, blocks * (SHARED + GUARD));
    for (int64_t n = 0; n < count; n++) {
        thread *const t = &threads[n];
        t->block = (int)(n / OF_A_BLOCK), t->x = (int)(n % THREADS), t->y = (int)(n % OF_A_BLOCK / THREADS);
        getcontext(&t->context);
        t->context.uc_stack.ss_sp = stacks + n * STACK, t->context.uc_stack.ss_size = STACK;
        t->context.uc_link = &driver;
        makecontext(&t->context, enter, 0);
    }
    while (running && !wrong) {
        int moved = 0;
        for (int64_t block = 0; block < blocks; block++) paused[block] = random_number() % 3 == 0; /* blocks drift apart */
        shuffle(order, count);
        for (int64_t n = 0; n < count; n++) {
            thread *const t = &threads[order[n]];
            if (!can_run(t) || paused[t->block]) continue;
            current = t;
            threadIdx.x = t->x, threadIdx.y = t->y, blockIdx.x = t->block;
            shared = memory + t->block * (SHARED + GUARD);
            t->waits_at = 0;
            swapcontext(&driver, &t->context);
            moved |= t->waits_at != SPINNING;
        }
        for (int64_t block = 0; block < blocks; block++) {
            int waiting = 1, any = 0;
            for (int n = 0; n < OF_A_BLOCK; n++) {
                waiting &= !can_run(&threads[block * OF_A_BLOCK + n]);
                any |= !threads[block * OF_A_BLOCK + n].ended;
            }
            if (waiting && any) wrong |= released(&threads[block * OF_A_BLOCK]);
        }
        turns = moved ? 0 : turns + 1;
        if (turns > MOST_TURNS) wrong = 3;
        running = 0;
        for (int64_t n = 0; n < count; n++) running |= !threads[n].ended;
    }
    for (int64_t block = 0; block < blocks; block++)
        for (int n = 0; n < GUARD; n++)
            if (memory[block * (SHARED + GUARD) + SHARED + n] != (char)0xff && !wrong) wrong = 2;
    free(threads), free(stacks), free(memory), free(order), free(paused);
    return wrong;
}
#endif
