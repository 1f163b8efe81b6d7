// The Language Server Protocol for scripts: messages in, messages out. Who carries them is
// somebody else's affair (lsp.cc: standard input and output).
//
// It knows: initialize, shutdown, exit; documents as a whole, opened, changed and closed; what is
// wrong in them, completion, hover, formatting. Positions are lines and UTF-16 code units.
// Limits: 1,000 documents, 16 MiB each.
// Threads: one at a time.
// source: Language Server Protocol 3.17
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "script/probes/btf_types.h"

namespace waggle {

class LanguageServer {
 public:
  // Answers and notifications, each one message's JSON text, in their order.
  std::vector<std::string> take(std::string_view message);

  bool has_ended() const { return has_ended_; }
  // Whether `exit` came after `shutdown`, as it should.
  bool was_shut_down() const { return is_shut_down_; }

 private:
  using Json = nlohmann::json;

  void request(const std::string &method, const Json &id, const Json &parameters);
  void notification(const std::string &method, const Json &parameters);
  void open(const std::string &uri, std::string text);
  Json completion(const Json &parameters);
  Json hover(const Json &parameters);
  Json formatting(const Json &parameters);
  const std::string *document(const Json &parameters) const;
  void answer(const Json &id, Json result);
  void refuse(const Json &id, int code, std::string_view message);
  void send(const Json &message);

  std::map<std::string, std::string> documents_;
  script::BtfTypes types_;
  bool is_initialized_ = false, is_shut_down_ = false, has_ended_ = false;
  std::vector<std::string> out_;
};

// The byte of a line and UTF-16 code unit in a text, both from 0; beyond a line or the text: its end.
uint32_t byte_at(std::string_view text, uint64_t line, uint64_t unit);
// The reverse.
struct Position {
  uint32_t line = 0, unit = 0;
};
Position position_of(std::string_view text, uint32_t byte);

}  // namespace waggle
