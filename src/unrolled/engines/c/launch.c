/* Compiled passes on several threads. Compiled after prelude.c and crew.c. */

typedef struct {
    int64_t lanes;
    const piece *pieces;
    const int64_t *of_lane;
} group;

typedef void pass(int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch,
                  matrix_product *product, crew *c);

/* A run of some groups of lanes: part k takes groups k, k + parts, ...; each part has `room` bytes of scratch memory. */
typedef struct {
    pass *run;
    matrix_product *product;
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
        l->run((int)g->lanes, g->pieces, g->of_lane, l->p, (real *)(l->rooms + part * l->room), l->product, l->c);
}

/* Takes all lanes through their steps. The crew shares the groups, or, if they are one part, the products of each step. */
void launch(crew *c, pass *run, matrix_product *product, int parts, int groups, const group *of, void **p,
            char *rooms, int64_t room) {
    const launched all = {run, product, parts > 1 ? NULL : c, parts, groups, of, p, rooms, room};
    share(parts > 1 ? c : NULL, parts, part_of_launch, &all);
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
