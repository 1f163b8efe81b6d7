// One system call of each name that is given, with known arguments.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void connect_refused(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(0x7f000001)}};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  connect(fd, (struct sockaddr *)&address, sizeof(address));
  close(fd);
}
static void send_something(void) {
  int ends[2];
  char bytes[32];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return;
  char text[] = "twelve bytes";
  write(ends[0], text, 12);
  read(ends[1], bytes, sizeof(bytes));
}

int main(int count, char **words) {
  for (int i = 1; i < count; i++) {
    const char *word = words[i];
    if (!strcmp(word, "nanosleep")) {
      struct timespec time = {0, 1000000};
      clock_nanosleep(CLOCK_MONOTONIC, 0, &time, 0);
    } else if (!strcmp(word, "open")) {
      close(open("/etc/hostname", O_RDONLY));
    } else if (!strcmp(word, "missing")) {
      open("/no/such/file", O_RDONLY);
    } else if (!strcmp(word, "mkdir")) {
      char path[] = "/no/such/folder";
      mkdir(path, 0750);
    } else if (!strcmp(word, "kill")) {
      kill(getpid(), 0);
    } else if (!strcmp(word, "getppid")) {
      getppid();
    } else if (!strcmp(word, "connect")) {
      connect_refused();
    } else if (!strcmp(word, "send")) {
      send_something();
    } else if (!strcmp(word, "fork")) {
      pid_t child = fork();
      if (child == 0) _exit(3);
      waitpid(child, 0, 0);
    } else if (!strcmp(word, "mmap")) {
      mmap(0, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    } else if (!strcmp(word, "exec")) {
      char path[] = "/bin/true", first[] = "true", second[] = "one", third[] = "two";
      execl(path, first, second, third, (char *)0);
    } else if (!strcmp(word, "spin")) {
      clock_t ends = clock() + CLOCKS_PER_SEC / 2;
      while (clock() < ends) {
      }
    } else {
      fprintf(stderr, "syscalls: no '%s'\n", word);
      return 1;
    }
  }
  return 0;
}
