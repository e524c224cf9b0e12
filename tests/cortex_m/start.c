/* What a Cortex-M4 runs first: it turns the floating-point unit on, and calls the C library's start. */
#include <stdint.h>

extern uint32_t stack_top;
extern void _start(void);
void reset(void);
void stuck(void);

void reset(void) {
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: full access to the floating-point unit */
    __asm volatile("dsb\n isb");
    _start();
    stuck();
}

void stuck(void) {
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static void *const vectors[4] = {
    &stack_top, (void *)(uintptr_t)reset, (void *)(uintptr_t)stuck, (void *)(uintptr_t)stuck};
