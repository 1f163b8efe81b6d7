// USDT probes of two providers. usdt [TIMES [PAUSE_MS]]
#include "usdt.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((section(".probes"))) volatile unsigned short guarded_semaphore;

static void one_round(int round) {
  // On the stack: a page of the file may not be there when a probe reads it.
  char apples[] = "apples", bonds[] = "bonds";
  USDT0(shop, opened);
  USDT2(shop, sold, round, apples);
  USDT_INT(shop, refund, -round - 1);
  USDT2(bank, sold, round + 100, bonds);
  if (guarded_semaphore) USDT_GUARDED(bank, guarded, guarded_semaphore, round + 1000);
}

int main(int count, char **words) {
  int times = count > 1 ? atoi(words[1]) : 1;
  int pause_ms = count > 2 ? atoi(words[2]) : 0;
  for (int i = 0; i < times; i++) {
    one_round(i);
    if (pause_ms) usleep(pause_ms * 1000);
  }
  return 0;
}
