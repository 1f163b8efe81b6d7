// Functions with arguments of many kinds, each called once with known values. It then lives for
// another second, or MS: names of functions are looked up while it does. functions [MS]
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct point {
  int x, y;
};
struct box {
  char name[16];
  struct point from, to;
  struct box *inside;
  int numbers[4];
  const char *title;
  struct point corners[2];
  int grid[2][3];
};
struct bits {
  unsigned low : 4, mid : 9;
  int negative : 5;
  unsigned high : 14;
};
union word {
  uint32_t whole;
  uint8_t bytes[4];
};
struct outer {
  int before;
  struct {
    int deep;
    union {
      int either;
      unsigned other;
    };
  };
};
enum colour { RED, GREEN = 5, BLUE };

int global_number = 4711;
struct box global_box = {.name = "global", .numbers = {1, 2, 3, 4}};

int add(int a, int b) {
  return a + b;
}
long long many(long a, long b, long c, long d, long e, long f, long g, long h) {
  return a + b + c + d + e + f + g + h;
}
const char *greet(const char *name, size_t bytes) {
  return name;
}
int take_point(struct point *p) {
  return p->x * p->y;
}
int take_box(struct box *box) {
  return box->numbers[2];
}
int take_bits(struct bits *bits) {
  return bits->mid;
}
int take_union(union word *word) {
  return word->bytes[1];
}
int take_outer(struct outer *outer) {
  return outer->deep;
}
int take_array(int *values, int count) {
  return values[count - 1];
}
int take_words(const char **words) {
  return words[0][0];
}
enum colour take_enum(enum colour colour) {
  return colour;
}
unsigned char take_small(unsigned char a, signed char b, short c, unsigned short d) {
  return a;
}
void *take_void(void *p) {
  return p;
}
int negative(int a) {
  return -a;
}
_Bool is_true(_Bool a) {
  return !a;
}
int outermost(int depth);
int innermost(int depth) {
  return depth;
}
int middle(int depth) {
  return innermost(depth + 1) + 1;
}
int outermost(int depth) {
  return middle(depth + 1) + 1;
}
int family_one(void) {
  return 1;
}
int family_two(void) {
  return 2;
}
int family_three(void) {
  return 3;
}

// A probe reads only memory that is there; a page of a file is there once it was read.
static unsigned long touched;
static void touch(const char *text) {
  touched += strlen(text) + (unsigned long)global_number + (unsigned long)global_box.numbers[1];
}

int main(int count, char **given) {
  int lingers_ms = count > 1 ? atoi(given[1]) : 1000;
  struct point point = {6, 7};
  struct box inside = {.name = "inside", .numbers = {5, 6, 7, 8}};
  struct box box = {.name = "box", .from = {1, 2}, .to = {3, 4}, .inside = &inside, .numbers = {10, 20, 30, 40},
                    .title = "a title", .corners = {{11, 12}, {13, 14}}, .grid = {{1, 2, 3}, {4, 5, 6}}};
  struct bits bits = {9, 300, -3, 12345};
  union word word = {0x04030201};
  struct outer outer = {1, {2, {3}}};
  int values[3] = {100, 200, 300};
  const char *words[] = {"first", "second", 0};
  touch("hello there");
  touch(box.title);
  touch(words[0]);
  touch(words[1]);
  add(3, 4);
  many(1, 2, 3, 4, 5, 6, 7, 8);
  greet("hello there", 11);
  take_point(&point);
  take_box(&box);
  take_bits(&bits);
  take_union(&word);
  take_outer(&outer);
  take_array(values, 3);
  take_words(words);
  take_enum(GREEN);
  take_small(200, -5, -300, 60000);
  take_void((void *)0x1234);
  negative(5);
  is_true(1);
  outermost(0);
  family_one();
  family_two();
  family_three();
  usleep(lingers_ms * 1000);
  return 0;
}
