// Calls: which there are, and what all of their rules need.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "script/check/checker.h"

namespace waggle::script {

const std::vector<Checker::CallRow> &Checker::call_rows() {
  static const std::vector<CallRow> kRows = {
      // What is printed, and other effects.
      {"printf", 1, -1, &Checker::call_printf},
      {"errorf", 1, -1, &Checker::call_printf},
      {"warnf", 1, -1, &Checker::call_printf},
      {"debugf", 1, -1, &Checker::call_printf},
      {"cat", 1, -1, &Checker::call_printf},
      {"system", 1, -1, &Checker::call_printf, true},
      {"fail", 1, -1, &Checker::call_fail},
      {"assert", 1, 2, &Checker::call_assert},
      {"assert_str", 1, 3, &Checker::call_assert},
      {"print", 1, 3, &Checker::call_print},
      {"exit", 0, 1, &Checker::call_exit},
      {"clear", 1, 1, &Checker::call_clear},
      {"zero", 1, 1, &Checker::call_clear},
      {"delete", 1, 2, &Checker::call_delete},
      {"has_key", 2, 2, &Checker::call_has_key},
      {"len", 1, 1, &Checker::call_len},
      {"find", 2, 3, &Checker::call_find},
      {"time", 0, 1, &Checker::call_time},
      {"strftime", 2, 2, &Checker::call_strftime},
      {"join", 1, 2, &Checker::call_join},
      {"skboutput", 4, 4, &Checker::call_skboutput},
      {"signal", 1, 1, &Checker::call_signal, true},
      {"signal_thread", 1, 1, &Checker::call_signal, true},
      {"override", 1, 1, &Checker::call_override, true},
      {"write_user", 2, 3, &Checker::call_write_user, true},
      {"unwatch", 1, 1, &Checker::call_unwatch},
      // Values.
      {"str", 1, 2, &Checker::call_str},
      {"buf", 1, 2, &Checker::call_buf},
      {"ksym", 1, 1, &Checker::call_symbol},
      {"usym", 1, 1, &Checker::call_symbol},
      {"ntop", 1, 2, &Checker::call_ntop},
      {"pton", 1, 1, &Checker::call_pton},
      {"kstack", 0, 2, &Checker::call_stack},
      {"ustack", 0, 2, &Checker::call_stack},
      {"dw_ustack", 0, 2, &Checker::call_stack},
      {"reg", 1, 1, &Checker::call_reg},
      {"kaddr", 1, 2, &Checker::call_kaddr},
      {"percpu_kaddr", 1, 2, &Checker::call_percpu_kaddr},
      {"uaddr", 1, 1, &Checker::call_uaddr},
      {"cgroup_path", 1, 2, &Checker::call_cgroup_path},
      {"cgroupid", 1, 1, &Checker::call_cgroupid},
      {"macaddr", 1, 1, &Checker::call_macaddr},
      {"strncmp", 3, 3, &Checker::call_strncmp},
      {"strcontains", 2, 2, &Checker::call_strcontains},
      {"strstr", 2, 2, &Checker::call_strcontains},
      {"strlen", 1, 1, &Checker::call_strlen},
      {"strcap", 1, 2, &Checker::call_strlen},
      {"memcmp", 3, 3, &Checker::call_memcmp},
      {"bswap", 1, 1, &Checker::call_bswap},
      {"path", 1, 2, &Checker::call_path},
      {"socket_cookie", 1, 1, &Checker::call_socket_cookie},
      {"strerror", 1, 1, &Checker::call_strerror},
      {"kptr", 1, 1, &Checker::call_pointer_space},
      {"uptr", 1, 1, &Checker::call_pointer_space},
      {"nsecs", 0, 1, &Checker::call_nsecs},
      {"pid", 0, 1, &Checker::call_pid},
      {"tid", 0, 1, &Checker::call_pid},
      {"comm", 0, 1, &Checker::call_task},
      {"ppid", 0, 1, &Checker::call_task},
      {"pcomm", 0, 1, &Checker::call_task},
      {"leader_tid", 0, 1, &Checker::call_task},
      {"leader_comm", 0, 1, &Checker::call_task},
      {"config", 1, 1, &Checker::call_config},
      {"getopt", 1, 3, &Checker::call_getopt},
      {"signal_name", 1, 1, &Checker::call_number_name},
      {"syscall_name", 1, 1, &Checker::call_number_name},
      {"is_array", 1, 1, &Checker::call_is},
      {"is_integer", 1, 1, &Checker::call_is},
      {"is_unsigned_integer", 1, 1, &Checker::call_is},
      {"is_literal", 1, 1, &Checker::call_is},
      {"is_ptr", 1, 1, &Checker::call_is},
      {"is_str", 1, 1, &Checker::call_is},
      {"is_err", 1, 1, &Checker::call_is_err},
      {"static_assert", 1, 2, &Checker::call_static_assert},
      {"kfunc_allowed", 1, 1, &Checker::call_kfunc},
      {"kfunc_exist", 1, 1, &Checker::call_kfunc},
      // Aggregates, which only an assignment to a map may call.
      {"count", 0, 0, &Checker::call_aggregate},
      {"sum", 1, 1, &Checker::call_aggregate},
      {"min", 1, 1, &Checker::call_aggregate},
      {"max", 1, 1, &Checker::call_aggregate},
      {"avg", 1, 1, &Checker::call_aggregate},
      {"stats", 1, 1, &Checker::call_aggregate},
      {"hist", 1, 2, &Checker::call_aggregate},
      {"lhist", 4, 4, &Checker::call_aggregate},
      {"tseries", 3, 4, &Checker::call_aggregate},
      // Builtins that may be called too.
      {"uid", 0, 0, &Checker::call_name},
      {"gid", 0, 0, &Checker::call_name},
      {"cpu", 0, 0, &Checker::call_name},
      {"numaid", 0, 0, &Checker::call_name},
      {"cgroup", 0, 0, &Checker::call_name},
      {"curtask", 0, 0, &Checker::call_name},
      {"rand", 0, 0, &Checker::call_name},
      {"elapsed", 0, 0, &Checker::call_name},
      {"jiffies", 0, 0, &Checker::call_name},
      {"usermode", 0, 0, &Checker::call_name},
      {"ncpus", 0, 0, &Checker::call_name},
      {"cpid", 0, 0, &Checker::call_name},
      {"has_cpid", 0, 0, &Checker::call_name},
      {"username", 0, 0, &Checker::call_name},
      {"func", 0, 0, &Checker::call_name},
      {"probe", 0, 0, &Checker::call_name},
      {"probetype", 0, 0, &Checker::call_name},
      {"default_str_length", 0, 0, &Checker::call_name},
  };
  return kRows;
}

Value Checker::call(const Call &of) {
  bool is_macro = false;
  if (const Macro *macro = find_macro(of, is_macro)) return expand_macro(*macro, of);
  if (is_macro) return {};
  for (const Function *function : tree_.functions)
    if (function->name == of.name) return expand_function(*function, of);
  for (const CallRow &row : call_rows()) {
    if (row.name != of.name) continue;
    if (row.is_unsafe && !options_.is_unsafe)
      return wrong(of.at, fmt::format("{}() is an unsafe function being used in safe mode", of.name));
    if (!count_fits(of, row.fewest, row.most)) return {};
    return (this->*row.rule)(of);
  }
  std::vector<std::string_view> names;
  for (const CallRow &row : call_rows()) names.push_back(row.name);
  for (const Macro *macro : tree_.macros) names.push_back(macro->name);
  for (const Function *function : tree_.functions) names.push_back(function->name);
  std::string_view near = nearest(of.name, names);
  return wrong(of.name_at, fmt::format("Unknown function: '{}'", of.name),
               near.empty() ? std::string() : fmt::format("did you mean '{}'?", near));
}

bool Checker::count_fits(const Call &of, int fewest, int most) {
  auto given = static_cast<int>(of.arguments.size());
  auto plural = [](int count) { return count == 1 ? "argument" : "arguments"; };
  if (fewest == most && given != fewest) {
    if (fewest == 0)
      wrong(of.at, fmt::format("{}() requires no arguments ({} provided)", of.name, given));
    else
      wrong(of.at, fmt::format("{}() requires {} {} ({} provided)", of.name,
                               fewest == 1 ? "one" : fmt::format("{}", fewest), plural(fewest), given));
    return false;
  }
  if (given < fewest) {
    wrong(of.at, fmt::format("{}() requires at least {} {} ({} provided)", of.name,
                             fewest == 1 ? "one" : fmt::format("{}", fewest), plural(fewest), given));
    return false;
  }
  if (most >= 0 && given > most) {
    if (most == 0)
      wrong(of.at, fmt::format("{}() requires no arguments ({} provided)", of.name, given));
    else
      wrong(of.at, fmt::format("{}() takes up to {} {} ({} provided)", of.name,
                               most == 1 ? "one" : fmt::format("{}", most), plural(most), given));
    return false;
  }
  return true;
}

std::optional<int64_t> Checker::literal(const Call &of, size_t argument) {
  Value made = expression(*of.arguments[argument]);
  if (!made) return std::nullopt;
  if (made.is_constant() && made.type().is_integral()) return made.node->number;
  wrong(of.arguments[argument]->at,
        fmt::format("{}() expects an integer literal ({} provided)", of.name, made.type().name()));
  return std::nullopt;
}

std::optional<std::string> Checker::literal_text(const Call &of, size_t argument) {
  Value made = expression(*of.arguments[argument]);
  if (!made) return std::nullopt;
  if (made.is_text()) return made.node->text;
  wrong(of.arguments[argument]->at, fmt::format("{}() expects a string literal ({} provided)", of.name,
                                                made.type().is(TypeKind::kString) ? "string" : made.type().name()));
  return std::nullopt;
}

const Node *Checker::integer_argument(const Call &of, size_t argument) {
  Value made = expression(*of.arguments[argument]);
  if (!made) return nullptr;
  if (made.type().is_integral()) return to_u64(made);
  wrong(of.arguments[argument]->at,
        fmt::format("{}() only supports int arguments ({} provided)", of.name, made.type().name()));
  return nullptr;
}

// An integer is an address too.
const Node *Checker::pointer_argument(const Call &of, size_t argument, std::string_view wanted) {
  Value made = expression(*of.arguments[argument]);
  if (!made) return nullptr;
  if (made.type().is(TypeKind::kPointer)) return convert(made.node, in_space(made.type(), default_space()));
  if (made.type().is(TypeKind::kInteger)) {
    Type type = Type::pointer(Type::integer(1, true), default_space());
    return convert(made, type);
  }
  wrong(of.arguments[argument]->at, fmt::format("{}() expects {} ({} provided)", of.name, wanted, made.type().name()));
  return nullptr;
}

Value Checker::call_name(const Call &of) {
  Identifier name{Expression{ExpressionKind::kIdentifier, of.id, of.at}, of.name};
  return identifier(name);
}

}  // namespace waggle::script
