#include "enrich/field.h"

#include <fmt/format.h>

#include "base/text.h"

namespace waggle {
namespace {

constexpr FollowInfo kOfProcess[] = {
    {Follow::kComm, "comm", "its name"},
    {Follow::kExe, "exe", "its executable"},
    {Follow::kCmdline, "cmdline", "its command line"},
    {Follow::kParent, "parent", "pid of its parent"},
    {Follow::kAncestors, "ancestors", "names of its parents, up to PID 1"},
    {Follow::kUser, "user", "name of its user"},
    {Follow::kContainer, "container", "id of its container"},
    {Follow::kUnit, "unit", "its systemd unit"},
    {Follow::kCgroupPath, "cgroup", "path of its cgroup"},
};
constexpr FollowInfo kOfCgroup[] = {
    {Follow::kCgroupPath, "path", "path of the cgroup"},
    {Follow::kContainer, "container", "id of its container"},
    {Follow::kUnit, "unit", "its systemd unit"},
};
constexpr FollowInfo kOfUser[] = {{Follow::kName, "name", "its name in /etc/passwd or /etc/group"}};
constexpr FollowInfo kOfPath[] = {{Follow::kDirectory, "dir", "its directory"}};
constexpr FollowInfo kOfDevice[] = {{Follow::kMount, "mount", "where it is mounted"}};

template <size_t N>
std::vector<FollowInfo> listed(const FollowInfo (&infos)[N]) {
  return {infos, infos + N};
}

Field plain_field(const Schema &schema, const Column &column) {
  const Column *owner = nullptr;
  if (column.kind == Kind::kStack) owner = schema.first_of(Kind::kPid);
  if (column.kind == Kind::kArguments) owner = schema.first_of(Kind::kKernelAddress);
  return {&column, Follow::kNothing, column.name, owner, schema.first_of(Kind::kTime)};
}

}  // namespace

std::vector<FollowInfo> follows_of(Kind kind) {
  switch (kind) {
    case Kind::kPid:
      return listed(kOfProcess);
    case Kind::kCgroup:
      return listed(kOfCgroup);
    case Kind::kUid:
    case Kind::kGid:
      return listed(kOfUser);
    case Kind::kDevice:
      return listed(kOfDevice);
    case Kind::kPath:
      return listed(kOfPath);
    default:
      return {};
  }
}

Result<Field> parse_field(const Schema &schema, std::string_view name) {
  size_t dot = name.find('.');
  std::string_view column_name = name.substr(0, dot);
  const Column *column = schema.find(column_name);
  if (column == nullptr) {
    std::vector<std::string_view> names;
    for (const Column &each : schema.columns) names.push_back(each.name);
    std::string_view near = nearest(column_name, names);
    return fail(ErrorCode::kNotFound, fmt::format("sensor '{}' has no column '{}'", schema.name, column_name), {},
                near.empty() ? fmt::format("waggle list columns {}      shows them", schema.name)
                             : fmt::format("did you mean '{}'?", near));
  }
  if (dot == std::string_view::npos) return plain_field(schema, *column);
  std::string_view wanted = name.substr(dot + 1);
  std::string known;
  for (const FollowInfo &info : follows_of(column->kind)) {
    if (info.name == wanted)
      return Field{column, info.follow, std::string(name), nullptr, schema.first_of(Kind::kTime)};
    known += fmt::format("{}{}.{}", known.empty() ? "" : ", ", column_name, info.name);
  }
  return fail(ErrorCode::kNotFound, fmt::format("'{}' does not lead to '{}'", column_name, wanted), {},
              known.empty() ? fmt::format("use '{}' alone", column_name) : "there is " + known);
}

Result<std::vector<Field>> parse_fields(const Schema &schema, std::string_view list, std::vector<Field> defaults) {
  bool adds = false;
  std::vector<Field> fields;
  for (std::string_view name : split(list, ',')) {
    name = trim(name);
    if (name.starts_with('+')) {
      adds = true;
      name.remove_prefix(1);
    }
    fields.push_back(TRY(parse_field(schema, name)));
  }
  if (fields.empty()) return fail(ErrorCode::kMisuse, "no columns are named");
  if (!adds) return fields;
  defaults.insert(defaults.end(), fields.begin(), fields.end());
  return defaults;
}

std::vector<Field> all_fields(const Schema &schema) {
  std::vector<Field> fields;
  for (const Column &column : schema.columns) fields.push_back(plain_field(schema, column));
  return fields;
}

std::vector<Field> console_fields(const Schema &schema) {
  std::vector<Field> fields;
  for (const Column &column : schema.columns) {
    bool rarely = column.is_aside || column.kind == Kind::kTid || column.kind == Kind::kGid ||
                  column.kind == Kind::kCgroup || column.kind == Kind::kInode || column.kind == Kind::kMode ||
                  (schema.shape == Shape::kSnapshot && column.kind == Kind::kTime);
    if (!rarely) fields.push_back(plain_field(schema, column));
  }
  return fields;
}

}  // namespace waggle
