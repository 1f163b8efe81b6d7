#include "cli/lsp_server.h"

#include <gtest/gtest.h>

namespace waggle {
namespace {

using Json = nlohmann::json;

std::string joined(const std::vector<std::string> &messages) {
  std::string text;
  for (const std::string &each : messages) text += each + "\n";
  return text;
}

// A server with one document.
void open(LanguageServer &server, const std::string &text) {
  server.take(R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{}})");
  Json opened = {{"jsonrpc", "2.0"},
                 {"method", "textDocument/didOpen"},
                 {"params", {{"textDocument", {{"uri", "file:///a.bt"}, {"text", text}}}}}};
  server.take(opened.dump());
}

// The answer to a request about a place.
Json ask(LanguageServer &server, const std::string &method, unsigned line, unsigned character) {
  Json request = {
      {"jsonrpc", "2.0"},
      {"id", 7},
      {"method", method},
      {"params",
       {{"textDocument", {{"uri", "file:///a.bt"}}}, {"position", {{"line", line}, {"character", character}}}}}};
  std::vector<std::string> messages = server.take(request.dump());
  if (messages.size() != 1) return nullptr;
  return Json::parse(messages[0])["result"];
}

bool has(const Json &completion, const std::string &label) {
  for (const Json &each : completion["items"])
    if (each["label"] == label) return true;
  return false;
}

TEST(LanguageServer, AnswersWhateverComes) {
  struct {
    const char *message, *expected;
  } cases[] = {
      {"", "-32700"},
      {"{", "-32700"},
      {"[1, 2]", "-32600"},
      {"{}", "-32600"},
      {"3", "-32600"},
      {R"({"id": 1})", ""},
      {R"({"id": 1, "method": 5})", ""},
      {R"({"id": 1, "method": "shutdown"})", "-32002"},
      {R"({"id": 1, "method": "initialize"})", "capabilities"},
      {R"({"id": 2, "method": "no/such"})", "-32601"},
      {R"({"method": "no/such"})", ""},
      {R"({"method": "textDocument/didOpen"})", ""},
      {R"({"method": "textDocument/didOpen", "params": []})", ""},
      {R"({"method": "textDocument/didOpen", "params": {"textDocument": 5}})", ""},
      {R"({"method": "textDocument/didOpen", "params": {"textDocument": {"uri": "a", "text": 5}}})", R"("uri":"a")"},
      {R"({"method": "textDocument/didChange", "params": {"textDocument": {"uri": "a"}, "contentChanges": []}})", ""},
      {R"({"method": "textDocument/didChange", "params": {"textDocument": {"uri": "a"}, "contentChanges": [3]}})",
       R"("uri":"a")"},
      {R"({"id": 3, "method": "textDocument/hover", "params": {"textDocument": {"uri": "a"}, "position": -1}})",
       R"("result":null)"},
      {R"({"id": 3, "method": "textDocument/completion", "params": {"textDocument": {"uri": "none"}}})",
       R"("result":null)"},
      {R"({"method": "textDocument/didClose", "params": {"textDocument": {"uri": "a"}}})", R"("diagnostics":[])"},
      {R"({"id": "x", "method": "shutdown"})", R"("id":"x")"},
      {R"({"id": 4, "method": "textDocument/hover"})", "-32600"},
      {R"({"method": "exit"})", ""},
  };
  LanguageServer server;
  for (const auto &[message, expected] : cases) {
    std::string said = joined(server.take(message));
    if (*expected == 0)
      EXPECT_EQ(said, "") << message;
    else
      EXPECT_NE(said.find(expected), std::string::npos) << message << ": " << said;
  }
  EXPECT_TRUE(server.has_ended());
  EXPECT_TRUE(server.was_shut_down());
}

TEST(LanguageServer, TellsWhatIsWrongAndWhere) {
  LanguageServer server;
  open(server, "begin { }");
  std::string said = joined(server.take(
      R"({"method": "textDocument/didChange", "params": {"textDocument": {"uri": "file:///a.bt"},
          "contentChanges": [{"text": "begin {\n  print(1;\n}\n"}]}})"));
  Json diagnostics = Json::parse(said)["params"]["diagnostics"];
  ASSERT_EQ(diagnostics.size(), 1U) << said;
  EXPECT_EQ(diagnostics[0]["range"]["start"], (Json{{"line", 1}, {"character", 9}})) << said;
  EXPECT_EQ(diagnostics[0]["severity"], 1);
}

TEST(LanguageServer, CompletesWhatMayBeTyped) {
  struct {
    const char *what, *text;
    unsigned line, character;
    const char *has, *has_not;
  } cases[] = {
      {"providers", "tra", 0, 3, "tracepoint", "kprobe"},
      {"providers in an empty text", "", 0, 0, "tracepoint", "pid"},
      {"providers behind a probe", "begin { }\nint", 1, 3, "interval", "pid"},
      {"providers behind a comma", "begin, e", 0, 8, "end", "pid"},
      {"values", "begin { $a = pi }", 0, 15, "pid", "comm"},
      {"functions", "begin { pri }", 0, 11, "printf", "hist"},
      {"functions of maps", "begin { @ = his }", 0, 15, "hist", "printf"},
      {"variables", "begin { $long_name = 1; $lo }", 0, 27, "$long_name", "len"},
      {"maps", "begin { @long_name = 1; @ }", 0, 25, "@long_name", "len"},
      {"macros", "macro twice(x) { x * 2 }\nbegin { tw }", 1, 10, "twice", "pid"},
      {"settings", "config = { max_ }", 0, 15, "max_strlen", "pid"},
      {"no functions behind a dot", "begin { curtask-> }", 0, 17, nullptr, "printf"},
      {"nothing in a comment", "// pr", 0, 5, nullptr, "profile"},
      {"nothing in a string", "begin { print(\"pr", 0, 17, nullptr, "printf"},
  };
  for (const auto &each : cases) {
    LanguageServer server;
    open(server, each.text);
    Json found = ask(server, "textDocument/completion", each.line, each.character);
    EXPECT_TRUE(each.has == nullptr || has(found, each.has)) << each.what;
    EXPECT_FALSE(has(found, each.has_not)) << each.what;
  }
}

TEST(LanguageServer, CompletionsReplaceWhatWasTyped) {
  LanguageServer server;
  open(server, "begin { $a = pi }");
  Json found = ask(server, "textDocument/completion", 0, 15);
  ASSERT_TRUE(has(found, "pid"));
  EXPECT_EQ(found["items"][0]["textEdit"]["range"]["start"]["character"], 13);
  EXPECT_EQ(found["items"][0]["textEdit"]["range"]["end"]["character"], 15);
}

TEST(LanguageServer, SaysWhatThingsAre) {
  struct {
    const char *text;
    unsigned character;
    const char *expected;
  } cases[] = {
      {"begin { print(pid); }", 15, "pid : uint32"},
      {"begin { print(pid); }", 9, "prints it"},
      {"begin { print(pid); }", 2, "runs once"},
      {"begin { @ = hist(5); }", 13, "powers of two"},
      {"begin { print(arg7); }", 15, "arg7 : uint64"},
      {"begin { print(5); }", 6, nullptr},
      {"begin { print(nosuch); }", 15, nullptr},
      {"config = { max_strlen = 5 }", 13, "bytes of a string"},
      {"begin { $x = nsecs; print($x); }", 27, "$x : uint64"},
      {"begin { @m[comm] = count(); }", 9, "@m[string[16]] : "},
  };
  for (const auto &each : cases) {
    LanguageServer server;
    open(server, each.text);
    Json found = ask(server, "textDocument/hover", 0, each.character);
    if (each.expected == nullptr)
      EXPECT_TRUE(found.is_null()) << each.text << ": " << found.dump();
    else
      EXPECT_NE(found.dump().find(each.expected), std::string::npos) << each.text << ": " << found.dump();
  }
}

TEST(LanguageServer, FormatsTheWholeDocument) {
  LanguageServer server;
  open(server, "begin{\n@=1;\n}");
  Json edits = ask(server, "textDocument/formatting", 0, 0);
  ASSERT_EQ(edits.size(), 1U);
  EXPECT_EQ(edits[0]["newText"], "begin {\n  @ = 1;\n}\n");
  EXPECT_EQ(edits[0]["range"]["end"], (Json{{"line", 2}, {"character", 1}}));
  open(server, "begin { broken");
  EXPECT_EQ(ask(server, "textDocument/formatting", 0, 0), Json::array());
}

TEST(LanguageServer, PlacesAreLinesAndCodeUnits) {
  constexpr std::string_view kText =
      "a\n\xc3\xbc\xf0\x9f\x90\x9d"
      "b\n";
  struct {
    uint32_t byte, line, unit;
  } cases[] = {{0, 0, 0}, {1, 0, 1}, {2, 1, 0}, {4, 1, 1}, {8, 1, 3}, {9, 1, 4}, {10, 2, 0}};
  for (const auto &each : cases) {
    Position found = position_of(kText, each.byte);
    EXPECT_EQ(found.line, each.line) << each.byte;
    EXPECT_EQ(found.unit, each.unit) << each.byte;
    EXPECT_EQ(byte_at(kText, each.line, each.unit), each.byte);
  }
  EXPECT_EQ(byte_at(kText, 99, 0), 10U);
  EXPECT_EQ(byte_at(kText, 0, 99), 1U);
}

}  // namespace
}  // namespace waggle
