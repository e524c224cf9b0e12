/* A driver of NVIDIA's for tests: it "loads" the address of a function that runs a text on the CPU (see cuda_on_cpu.c). */

#include <stdint.h>
#include <string.h>

typedef int drive(const void *, int64_t, uint64_t, int64_t);
static drive *loaded;
static unsigned launched[7]; /* blocks, threads, bytes of shared memory */
static void *stream_given;
static int cooperative, most_shared = 48 * 1024;

int cuModuleLoadData(void **module, const char *cubin) {
    if (strncmp(cubin, "at ", 3)) return 209;
    uint64_t address = 0;
    for (const char *c = cubin + 3; *c; c++) address = 10 * address + (uint64_t)(*c - '0');
    loaded = (drive *)address;
    *module = &loaded;
    return 0;
}

int cuModuleGetFunction(void **function, void *module, const char *name) {
    if (module != &loaded || strcmp(name, "run")) return 500;
    *function = loaded;
    return 0;
}

int cuFuncSetAttribute(void *function, int attribute, int value) {
    if (function != loaded || attribute != 8) return 1;
    most_shared = value;
    return 0;
}

int cuLaunchCooperativeKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                              unsigned shared, void *stream, void **parameters) {
    const unsigned given[] = {gx, gy, gz, bx, by, bz, shared};
    memcpy(launched, given, sizeof given);
    stream_given = stream, cooperative = 1;
    if (gy != 1 || gz != 1 || bz != 1 || (int)shared > most_shared) return 1;
    return ((drive *)function)(parameters[0], gx, 1, 0);
}

int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **parameters, void **extra) {
    const int wrong = cuLaunchCooperativeKernel(function, gx, gy, gz, bx, by, bz, shared, stream, parameters);
    cooperative = 0;
    return extra ? 1 : wrong;
}

int cuGetErrorString(int code, const char **text) {
    *text = code == 209 ? "no kernel image is available for execution on the device" : "invalid argument";
    return 0;
}

const unsigned *last_launch(void) { return launched; }
void *last_stream(void) { return stream_given; }
int was_cooperative(void) { return cooperative; }
