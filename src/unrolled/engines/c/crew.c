/* Work that several threads share: each takes parts until none are left. Compiled after prelude.c. */

#if defined(__unix__) || defined(__APPLE__)
#include <sched.h>
#endif

typedef void part_of_work(const void *given, int part);

/* A thread needs only the ticket to take a part. Its upper half is the number of the work, so that a late thread takes no
   part of another work. Then come the number of parts and the next part, 16 bits each. busy: a call has the crew. */
struct crew {
    uint64_t ticket;
    int done, helpers, busy;
    part_of_work *work;
    const void *given;
};

/* Waits a moment. The first 2000 times it spins, since the others are about to finish; then it yields the processor. */
INLINE void pause_after(unsigned spins) {
#if defined(__unix__) || defined(__APPLE__)
    if (spins > 2000) sched_yield();
#endif
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Takes parts until none are left. Returns the number of parts taken. */
static int take_parts(crew *c) {
    for (int taken = 0;;) {
        uint64_t ticket = __atomic_load_n(&c->ticket, __ATOMIC_ACQUIRE);
        const int parts = ticket >> 16 & 0xFFFF, part = ticket & 0xFFFF;
        if (part >= parts) return taken;
        if (!__atomic_compare_exchange_n(&c->ticket, &ticket, ticket + 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) continue;
        c->work(c->given, part);
        __atomic_add_fetch(&c->done, 1, __ATOMIC_RELEASE);
        taken++;
    }
}

/* Shares work with the crew; does it alone if there is no crew, or if another call has it. Helpers that are late or asleep
   leave more parts to the others. */
static void share(crew *c, int parts, part_of_work *work, const void *given) {
    if (!c || parts < 2 || parts > 0xFFFF || __atomic_exchange_n(&c->busy, 1, __ATOMIC_ACQUIRE)) {
        for (int part = 0; part < parts; part++) work(given, part);
        return;
    }
    c->work = work, c->given = given, c->done = 0;
    __atomic_store_n(&c->ticket, ((c->ticket >> 32) + 1) << 32 | (uint64_t)parts << 16, __ATOMIC_RELEASE);
    take_parts(c);
    for (unsigned spins = 0; __atomic_load_n(&c->done, __ATOMIC_ACQUIRE) < parts; spins++) pause_after(spins);
    __atomic_store_n(&c->busy, 0, __ATOMIC_RELEASE);
}
