// Ending the process without making its user wait.
#pragma once

namespace waggle {

// Closing a perf tracepoint takes the kernel an RCU grace period, 70 ms on an
// idle 6.18, one after the other. Programs that are stopped (Sensor::stop())
// count nothing any more, so a child that holds the last references can do the
// waiting while the parent's answer is already on the screen.
// Flushes stdio, and says so where stdout takes it no more: `status` is then a
// failure, unless the reader simply went away. Returns `status` where nothing is attached; else it does not
// return, so call it while the sensors still exist.
int leave(int status);

// Says that stdout could not be written, and returns the exit status for it;
// quiet, and no failure, where the reader went away.
int say_unwritten(int error_number);

// Tells leave() that sensors are attached.
void note_attached();

}  // namespace waggle
