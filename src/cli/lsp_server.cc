#include "cli/lsp_server.h"

#include <algorithm>

#include "base/version.h"
#include "script/edit/format.h"
#include "script/edit/language.h"
#include "script/syntax/source.h"

namespace waggle {
namespace {

using Json = nlohmann::json;

constexpr size_t kDocumentsMost = 1'000;
constexpr int kParseError = -32700, kInvalidRequest = -32600, kUnknownMethod = -32601, kNotInitialized = -32002;

// What a client sends may be of any shape: absent and of another type are the same.
const Json *find(const Json &in, const char *name) {
  if (!in.is_object()) return nullptr;
  auto found = in.find(name);
  return found == in.end() ? nullptr : &*found;
}
std::string text_in(const Json *in, const char *name) {
  const Json *found = in != nullptr ? find(*in, name) : nullptr;
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}
uint64_t number_in(const Json &in, const char *name) {
  const Json *found = find(in, name);
  return found != nullptr && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

Json range_of(std::string_view text, uint32_t begin, uint32_t end) {
  Position from = position_of(text, begin), to = position_of(text, end);
  return {{"start", {{"line", from.line}, {"character", from.unit}}},
          {"end", {{"line", to.line}, {"character", to.unit}}}};
}

// The byte that a request is about.
uint32_t place_in(const std::string &text, const Json &parameters) {
  const Json *position = find(parameters, "position");
  if (position == nullptr) return 0;
  return byte_at(text, number_in(*position, "line"), number_in(*position, "character"));
}

// CompletionItemKind
int item_kind(script::Completion::Kind kind) {
  switch (kind) {
    case script::Completion::Kind::kProbe:
      return 23;  // Event
    case script::Completion::Kind::kKeyword:
      return 14;
    case script::Completion::Kind::kValue:
      return 21;  // Constant
    case script::Completion::Kind::kFunction:
      return 3;
    case script::Completion::Kind::kField:
      return 5;
    case script::Completion::Kind::kVariable:
      return 6;
    case script::Completion::Kind::kSetting:
      return 10;  // Property
  }
  return 1;
}

// How many bytes the character there has, and code units. A byte that begins none is one.
struct Character {
  uint32_t bytes, units;
};
Character character_at(std::string_view text, size_t at) {
  auto first = static_cast<unsigned char>(text[at]);
  uint32_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  if (at + bytes > text.size()) bytes = 1;
  return {bytes, bytes == 4 ? 2U : 1U};
}

}  // namespace

uint32_t byte_at(std::string_view text, uint64_t line, uint64_t unit) {
  size_t at = 0;
  for (; line > 0; line--) {
    size_t end = text.find('\n', at);
    if (end == std::string_view::npos) return static_cast<uint32_t>(text.size());
    at = end + 1;
  }
  for (uint64_t units = 0; at < text.size() && text[at] != '\n' && units < unit;) {
    Character here = character_at(text, at);
    units += here.units;
    at += here.bytes;
  }
  return static_cast<uint32_t>(at);
}

Position position_of(std::string_view text, uint32_t byte) {
  Position position;
  size_t end = std::min<size_t>(byte, text.size());
  for (size_t at = 0; at < end;) {
    Character here = character_at(text, at);
    if (text[at] == '\n') {
      position.line++;
      position.unit = 0;
    } else {
      position.unit += here.units;
    }
    at += here.bytes;
  }
  return position;
}

std::vector<std::string> LanguageServer::take(std::string_view message) {
  out_.clear();
  Json parsed = Json::parse(message, nullptr, false);
  if (parsed.is_discarded()) {
    refuse(nullptr, kParseError, "the message is no JSON");
    return std::move(out_);
  }
  std::string method = text_in(&parsed, "method");
  const Json *id = find(parsed, "id"), *given = find(parsed, "params");
  Json none = Json::object();
  const Json &parameters = given != nullptr ? *given : none;
  if (method.empty()) {
    // An answer to what was never asked, or nonsense.
    if (id == nullptr) refuse(nullptr, kInvalidRequest, "the message has no method");
  } else if (id != nullptr) {
    request(method, *id, parameters);
  } else {
    notification(method, parameters);
  }
  return std::move(out_);
}

void LanguageServer::request(const std::string &method, const Json &id, const Json &parameters) {
  if (method == "initialize") {
    is_initialized_ = true;
    answer(id, {{"capabilities",
                 {{"textDocumentSync", 1},
                  {"completionProvider", {{"triggerCharacters", {".", ">", ":", "$", "@"}}}},
                  {"hoverProvider", true},
                  {"documentFormattingProvider", true}}},
                {"serverInfo", {{"name", "waggle"}, {"version", kVersion}}}});
  } else if (!is_initialized_) {
    refuse(id, kNotInitialized, "initialize comes first");
  } else if (is_shut_down_) {
    refuse(id, kInvalidRequest, "the server was shut down");
  } else if (method == "shutdown") {
    is_shut_down_ = true;
    answer(id, nullptr);
  } else if (method == "textDocument/completion") {
    answer(id, completion(parameters));
  } else if (method == "textDocument/hover") {
    answer(id, hover(parameters));
  } else if (method == "textDocument/formatting") {
    answer(id, formatting(parameters));
  } else {
    refuse(id, kUnknownMethod, "no such method: " + method);
  }
}

void LanguageServer::notification(const std::string &method, const Json &parameters) {
  if (method == "exit") {
    has_ended_ = true;
    return;
  }
  if (!is_initialized_) return;
  const Json *document = find(parameters, "textDocument");
  std::string uri = text_in(document, "uri");
  if (uri.empty()) return;
  if (method == "textDocument/didOpen") {
    open(uri, text_in(document, "text"));
  } else if (method == "textDocument/didChange") {
    // Each change is the whole text: the last one counts.
    const Json *changes = find(parameters, "contentChanges");
    if (changes != nullptr && changes->is_array() && !changes->empty()) open(uri, text_in(&changes->back(), "text"));
  } else if (method == "textDocument/didClose") {
    documents_.erase(uri);
    send({{"jsonrpc", "2.0"},
          {"method", "textDocument/publishDiagnostics"},
          {"params", {{"uri", uri}, {"diagnostics", Json::array()}}}});
  }
}

void LanguageServer::open(const std::string &uri, std::string text) {
  // What is known of it is of another text from now on.
  if (text.size() > script::Sources::kBytesMost) {
    documents_.erase(uri);
    return;
  }
  if (documents_.size() >= kDocumentsMost && !documents_.contains(uri)) return;
  const std::string &kept = documents_[uri] = std::move(text);
  Json diagnostics = Json::array();
  for (const script::Mistake &each : script::mistakes_of(kept, types_))
    diagnostics.push_back({{"range", range_of(kept, each.begin, each.end)},
                           {"severity", each.severity == script::Severity::kError ? 1 : 2},
                           {"source", "waggle"},
                           {"message", each.message}});
  send({{"jsonrpc", "2.0"},
        {"method", "textDocument/publishDiagnostics"},
        {"params", {{"uri", uri}, {"diagnostics", std::move(diagnostics)}}}});
}

const std::string *LanguageServer::document(const Json &parameters) const {
  auto found = documents_.find(text_in(find(parameters, "textDocument"), "uri"));
  return found == documents_.end() ? nullptr : &found->second;
}

Json LanguageServer::completion(const Json &parameters) {
  const std::string *text = document(parameters);
  if (text == nullptr) return nullptr;
  uint32_t at = place_in(*text, parameters);
  script::Completions found = script::completions_at(*text, at, types_);
  Json items = Json::array();
  Json range = range_of(*text, found.begin, at);
  for (const script::Completion &each : found.all) {
    Json item = {{"label", each.label},
                 {"kind", item_kind(each.kind)},
                 {"textEdit", {{"range", range}, {"newText", each.label}}}};
    if (!each.detail.empty()) item["detail"] = each.detail;
    if (!each.help.empty()) item["documentation"] = each.help;
    items.push_back(std::move(item));
  }
  return {{"isIncomplete", found.is_cut}, {"items", std::move(items)}};
}

Json LanguageServer::hover(const Json &parameters) {
  const std::string *text = document(parameters);
  if (text == nullptr) return nullptr;
  script::Hover found = script::hover_at(*text, place_in(*text, parameters), types_);
  if (found.text.empty()) return nullptr;
  return {{"contents", {{"kind", "markdown"}, {"value", found.text}}},
          {"range", range_of(*text, found.begin, found.end)}};
}

Json LanguageServer::formatting(const Json &parameters) {
  const std::string *text = document(parameters);
  if (text == nullptr) return nullptr;
  // What is wrong with it has been told as diagnostics.
  Result<std::string> made = script::format_script(*text, "script");
  if (!made || *made == *text) return Json::array();
  return Json::array({{{"range", range_of(*text, 0, static_cast<uint32_t>(text->size()))}, {"newText", *made}}});
}

void LanguageServer::answer(const Json &id, Json result) {
  send({{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}});
}

void LanguageServer::refuse(const Json &id, int code, std::string_view message) {
  send({{"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", code}, {"message", message}}}});
}

void LanguageServer::send(const Json &message) {
  out_.push_back(message.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace waggle
