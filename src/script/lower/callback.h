// How a Writer writes a function that the kernel calls back. For lower() alone.
#pragma once

#include <utility>

#include "script/lower/writer.h"

namespace waggle::script {

template <typename Body>
codegen::FunctionId Writer::callback(const std::string &what, uint32_t parameters, uint32_t frame, Body body) {
  const auto id = static_cast<codegen::FunctionId>(functions_.size());
  functions_.emplace_back();
  Part part(what, parameters);
  part.id = id;
  part.frame = part.builder.parameter(frame);
  Part *outer = part_;
  part_ = &part;
  begin_callback();
  body();
  part_ = outer;
  functions_[id] = part.builder.finish();
  return id;
}

}  // namespace waggle::script
