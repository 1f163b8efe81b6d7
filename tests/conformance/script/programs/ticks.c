// Calls tick() with a growing number, and writes a byte where a watchpoint may be. ticks [TIMES [PAUSE_MS]]
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int tick(int number) {
  return number * 2;
}

int main(int count, char **words) {
  int times = count > 1 ? atoi(words[1]) : 1000;
  int pause_ms = count > 2 ? atoi(words[2]) : 10;
  volatile char *watched = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (watched == MAP_FAILED) return 1;
  for (int i = 0; i < times; i++) {
    tick(i);
    *watched = (char)i;
    usleep(pause_ms * 1000);
  }
  return 0;
}
