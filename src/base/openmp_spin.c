#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* How long OpenMP's threads wait awake for their next piece of work before they sleep, in pauses of some 20 ns. Between
 * two products of a token pass 10 to 30 us. libgomp's own 300,000 would let waiting threads keep a processor from
 * working ones for milliseconds where other programs compute too, and decoding took 20 times as long there. */
static char spin_count[] = "GOMP_SPINCOUNT=3000";

static int is_set(const char* variable, const char* name) { return strncmp(variable, name, strlen(name)) == 0; }

/* libgomp reads the variable when it is loaded, and libc takes its environment from the kernel: it must be there when
 * the program starts. So the program starts again, before the constructors of any library; where that fails it goes on.
 * Whoever set how OpenMP waits is left alone. */
static void limit_spinning(int argc, char** argv, char** environment) {
  (void)argc;
  size_t count = 0;
  for (; environment[count] != NULL; ++count) {
    if (is_set(environment[count], "GOMP_SPINCOUNT=") || is_set(environment[count], "OMP_WAIT_POLICY=")) return;
  }
  char* extended[count + 2];
  memcpy(extended, environment, count * sizeof(*environment));
  extended[count] = spin_count;
  extended[count + 1] = NULL;
  char program[4096];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
  if (length <= 0) return;
  program[length] = '\0';
  execve(program, argv, extended);
}

__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(int, char**,
                                                                                       char**) = limit_spinning;
