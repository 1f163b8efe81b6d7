// The terminal as one picture that is drawn over and over: the alternate screen,
// keys without waiting for Enter, and its former state again on every way out,
// also when the process is stopped (Ctrl-Z), crashes or fails a CHECK.
//
// Threads: one. At most one Screen exists at a time.
#pragma once

#include <termios.h>

#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "view/screen_keys.h"
#include "view/screen_text.h"

namespace waggle {

// Whether fd is a terminal that obeys cursor movements: TERM is set and not "dumb".
bool can_draw(int fd);

class Screen {
 public:
  // Takes over the terminal behind `out_fd` (borrowed). Keys come from stdin, or
  // from /dev/tty when stdin is something else; without either there are none.
  // REQUIRES: can_draw(out_fd); called before any other thread is made, because
  // the signals of the terminal are taken from a descriptor from then on.
  //   errors  Failed  the terminal does not say how it is set, or cannot be set
  static Result<std::unique_ptr<Screen>> open(int out_fd, bool colors);
  ~Screen();
  Screen(const Screen &) = delete;
  Screen &operator=(const Screen &) = delete;

  // As the terminal is now; 80 by 24 where it does not say.
  size_t rows() const;
  size_t columns() const;

  // Shows a picture in one write, and only what changed since the last one.
  void draw(std::vector<Line> lines);
  // The next draw() is whole: somebody else may have written to the terminal.
  void forget() { drawn_.clear(); }

  // Sleeps for at most `timeout_ms` until a key or signal is there, or
  // `extra_fd` or `rows_fd` (-1: none) is readable. Stops the process on SIGTSTP and comes back
  // with a clean screen on SIGCONT.
  struct Happened {
    std::vector<Key> keys;
    bool resized = false;  // or uncovered: draw again
    bool gone = false;     // the terminal hung up
    bool extra = false;    // extra_fd is readable
  };
  Happened wait(int timeout_ms, int extra_fd, int rows_fd = -1);

  // Gives the terminal back as it was. Nothing is drawn from then on.
  void close();

 private:
  Screen(int out_fd, bool colors) : out_fd_(out_fd), colors_(colors) {}
  Result<void> enter();
  void leave();
  void attend_signals(Happened &happened);
  void read_keys(Happened &happened);
  void write_all(std::string_view bytes);

  int out_fd_;
  bool colors_;
  bool open_ = false;
  int key_fd_ = -1;  // -1: no keyboard
  Fd key_tty_;       // /dev/tty, where stdin is none
  Fd signals_;
  termios before_ = {};
  KeyDecoder decoder_;
  std::vector<Line> drawn_;
};

}  // namespace waggle
