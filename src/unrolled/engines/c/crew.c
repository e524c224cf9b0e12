/* Work that several threads share: each takes parts until there are none. Stands on prelude.c. */

#if defined(__unix__) || defined(__APPLE__)
#include <sched.h>
#endif

typedef void part_of_work(const void *given, int part);

/* The ticket says all that is needed to take a part: in its upper half which work this is, so that who comes late takes
   no part of another; then how many parts there are (16 bits), and which is next. busy: a call has the crew. */
struct crew {
    uint64_t ticket;
    int done, helpers, busy;
    part_of_work *work;
    const void *given;
};

/* Waiting: at once for a while, for others are near their end; then whoever else wants the processor may have it. */
INLINE void pause_after(unsigned spins) {
#if defined(__unix__) || defined(__APPLE__)
    if (spins > 2000) sched_yield();
#endif
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Returns how many parts it took. */
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

/* Some work with a crew, or alone, where there is none or another call has it. Whoever of the crew is late or asleep leaves
   more to the others. */
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
