/* Compiled passes on several threads. Compiled after prelude.c and crew.c. */

typedef struct {
    int64_t lanes;
    const piece *pieces;
    const int64_t *of_lane;
} group;

typedef void pass(int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch,
                  matrix_product *product, matrix_product *turned, crew *c);

/* A run of some groups of lanes: part k takes groups k, k + parts, ...; each part has `room` bytes of scratch memory. */
typedef struct {
    pass *run;
    matrix_product *product, *turned;
    crew *c; /* shares the products, if there is one part */
    int parts, groups;
    const group *of;
    void **p;
    char *rooms;
    int64_t room;
} launched;

static void part_of_launch(const void *given, int part) {
    const launched *const l = given;
    for (const group *g = l->of + part; g < l->of + l->groups; g += l->parts)
        l->run((int)g->lanes, g->pieces, g->of_lane, l->p, (real *)(l->rooms + part * l->room), l->product, l->turned,
               l->c);
}

/* Takes all lanes through their steps. The crew shares the groups, or, if they are one part, the products of each step. */
void launch(crew *c, pass *run, matrix_product *product, matrix_product *turned, int parts, int groups, const group *of,
            void **p, char *rooms, int64_t room) {
    const launched all = {run, product, turned, parts > 1 ? NULL : c, parts, groups, of, p, rooms, room};
    share(parts > 1 ? c : NULL, parts, part_of_launch, &all);
}

/* Where an address is found: the number of a tensor, and the byte in it; or, if tensor < 0, a number. */
typedef struct {
    int64_t tensor, byte;
} slot;

typedef void outer(crew *c, int parts, const piece *pieces, int64_t count, const void *terms, int64_t n, char *rooms,
                   int64_t room);

/* A launch whose addresses are found in tensors. The last tensor is scratch memory, whose first `begin` bytes are for fixed
   values. `once`, if it is not NULL, computes them from parameters. `outer`, if it is not NULL, adds up the gradients of
   parameters, of `terms` terms of TERM numbers. The slots are those of `once`, of the pointers of `run` (before the fixed
   values, these, and behind), and of the terms. */
#define TERM 8
typedef struct {
    pass *run, *once;
    matrix_product *product, *turned;
    const group *of;
    int64_t groups, parts, threads, room, begin, scratch;
    int64_t of_once, first, fixed, last;
    outer *outer;
    const piece *pieces;
    int64_t count, terms, outer_parts, outer_room;
    slot slots[];
} bound;

static const slot *find(const slot *s, int64_t n, char *const *tensors, void **to) {
    for (int64_t i = 0; i < n; i++, s++) to[i] = s->tensor < 0 ? (void *)s->byte : tensors[s->tensor] + s->byte;
    return s;
}

/* Runs a bound launch on tensors; `prepared` are the fixed values unless they are found in tensors. */
void launch_bound(crew *c, const bound *b, char *const *tensors, void *const *prepared) {
    static const piece single = {0, 1, -1, -1};
    static const int64_t of_lane[] = {0, 1};
    void *p[b->of_once + b->first + b->fixed + b->last + TERM * b->terms + 1];
    char *const rooms = tensors[b->scratch] + b->begin;
    const slot *s = find(b->slots, b->of_once, tensors, p);
    if (b->once) b->once(1, &single, of_lane, p, (real *)rooms, b->product, b->turned, NULL);
    s = find(s, b->first, tensors, p);
    if (prepared) memcpy(p + b->first, prepared, b->fixed * sizeof *p);
    else s = find(s, b->fixed, tensors, p + b->first);
    s = find(s, b->last, tensors, p + b->first + b->fixed);
    launch(b->threads > 1 ? c : NULL, b->run, b->product, b->turned, (int)b->parts, (int)b->groups, b->of, p, rooms, b->room);
    if (!b->outer) return;
    find(s, TERM * b->terms, tensors, p);
    b->outer(b->outer_parts > 1 ? c : NULL, (int)b->outer_parts, b->pieces, b->count, p, b->terms, rooms, b->outer_room);
}

/* The work of helper `number`, counted from 0: take parts until there are none for about a millisecond. */
#define PATIENCE 4000
void assist(crew *c, int number) {
    for (int spins = 0; spins < PATIENCE; spins++) {
        if (number < __atomic_load_n(&c->helpers, __ATOMIC_RELAXED) && take_parts(c)) spins = 0;
        pause_after(spins);
    }
}

/* Sets the number of helpers that may take parts. */
void hire(crew *c, int helpers) { __atomic_store_n(&c->helpers, helpers, __ATOMIC_RELAXED); }
int64_t crew_size(void) { return sizeof(crew); }
