#include "sensor/declaration.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "base/check.h"
#include "base/text.h"

// Laid out by the assembly that cmake/sensors.cmake writes.
extern "C" {
struct WaggleEmbedded {
  const char *name, *area;
  const std::byte *bytes;
  size_t size;
};
extern const WaggleEmbedded waggle_sensor_objects[], waggle_sensor_objects_end[];
}

namespace waggle {
namespace {

std::string_view string_at(const btf *types, uint32_t offset) {
  return btf__name_by_offset(types, offset);
}

// The decl tags of an object, by what they tag.
class Tags {
 public:
  explicit Tags(const btf *types) : types_(types) {
    for (uint32_t id = 1; id < btf__type_cnt(types); id++) {
      const btf_type *type = btf__type_by_id(types, id);
      if (!btf_is_decl_tag(type)) continue;
      tags_.push_back({type->type, btf_decl_tag(type)->component_idx, string_at(types, type->name_off)});
    }
  }

  // The rest of the tag "<prefix>…" of a variable or function (component -1) or a member.
  std::optional<std::string_view> find(uint32_t type_id, int component, std::string_view prefix) const {
    for (const Tag &tag : tags_)
      if (tag.type_id == type_id && tag.component == component && tag.text.starts_with(prefix))
        return tag.text.substr(prefix.size());
    return std::nullopt;
  }

  // The same of all tags that begin so, in the order of the file.
  std::vector<std::string_view> find_all(uint32_t type_id, std::string_view prefix) const {
    std::vector<std::string_view> found;
    for (const Tag &tag : tags_)
      if (tag.type_id == type_id && tag.component == -1 && tag.text.starts_with(prefix))
        found.push_back(tag.text.substr(prefix.size()));
    return found;
  }

  const btf *types() const { return types_; }

 private:
  struct Tag {
    uint32_t type_id;
    int component;
    std::string_view text;
  };
  const btf *types_;
  std::vector<Tag> tags_;
};

struct TypeMeaning {
  Kind kind = Kind::kNumber;
  bool is_signed = false, is_bool = false;
  uint32_t size = 0;
};

TypeMeaning meaning_of(const btf *types, uint32_t type_id) {
  TypeMeaning meaning;
  std::optional<Kind> kind;
  const btf_type *type = btf__type_by_id(types, type_id);
  meaning.size = static_cast<uint32_t>(btf__resolve_size(types, type_id));
  while (btf_is_mod(type) || btf_is_typedef(type)) {
    if (btf_is_typedef(type) && !kind) kind = kind_of_type(string_at(types, type->name_off));
    type = btf__type_by_id(types, type->type);
  }
  if (btf_is_array(type)) meaning.kind = Kind::kText;
  if (btf_is_int(type)) meaning.is_signed = btf_int_encoding(type) & BTF_INT_SIGNED;
  if (btf_is_int(type)) meaning.is_bool = btf_int_encoding(type) & BTF_INT_BOOL;
  if (kind) meaning.kind = *kind;
  return meaning;
}

void append_columns(Schema &schema, const Tags &tags, uint32_t struct_id, Role role, uint32_t base) {
  const btf *types = tags.types();
  const btf_type *type = btf__type_by_id(types, struct_id);
  CHECK(btf_is_struct(type));
  const btf_member *members = btf_members(type);
  for (uint32_t i = 0; i < btf_vlen(type); i++) {
    std::string_view name = string_at(types, members[i].name_off);
    if (name.empty() || name.starts_with("_")) continue;  // padding
    TypeMeaning meaning = meaning_of(types, members[i].type);
    Column column;
    column.name = name;
    column.kind = meaning.kind;
    column.role = role;
    column.is_signed = meaning.is_signed;
    column.offset = base + btf_member_bit_offset(type, i) / 8;
    column.size = meaning.size;
    column.is_aside = tags.find(struct_id, static_cast<int>(i), "aside").has_value();
    column.is_gauge = tags.find(struct_id, static_cast<int>(i), "gauge").has_value();
    std::string_view doc = tags.find(struct_id, static_cast<int>(i), "doc:").value_or("");
    column.help = doc.empty() ? kind_info(meaning.kind).help : doc;
    schema.columns.push_back(std::move(column));
  }
}

// The struct that a `const struct row *` global keeps in BTF.
std::optional<uint32_t> pointee_of_variable(const btf *types, const std::string &name) {
  int id = btf__find_by_name_kind(types, name.c_str(), BTF_KIND_VAR);
  if (id < 0) return std::nullopt;
  const btf_type *type = btf__type_by_id(types, btf__type_by_id(types, static_cast<uint32_t>(id))->type);
  CHECK(btf_is_ptr(type));
  uint32_t target = type->type;
  while (btf_is_mod(btf__type_by_id(types, target))) target = btf__type_by_id(types, target)->type;
  return target;
}

uint32_t struct_bytes(const btf *types, uint32_t id) {
  return btf__type_by_id(types, id)->size;
}

void read_parameters(Declaration &declaration, const Tags &tags, const char *section_name) {
  const btf *types = tags.types();
  int section_id = btf__find_by_name_kind(types, section_name, BTF_KIND_DATASEC);
  if (section_id < 0) return;
  const btf_type *section = btf__type_by_id(types, static_cast<uint32_t>(section_id));
  const btf_var_secinfo *info = btf_var_secinfos(section);
  for (uint32_t i = 0; i < btf_vlen(section); i++) {
    const btf_type *variable = btf__type_by_id(types, info[i].type);
    std::string_view name = string_at(types, variable->name_off);
    if (!name.starts_with("param_")) continue;
    Parameter parameter;
    parameter.name = name.substr(strlen("param_"));
    parameter.help = tags.find(info[i].type, -1, "doc:").value_or("");
    TypeMeaning meaning = meaning_of(types, variable->type);
    parameter.kind = meaning.kind;
    parameter.is_signed = meaning.is_signed;
    parameter.is_bool = meaning.is_bool;
    parameter.section = section_name;
    parameter.offset = info[i].offset;
    parameter.size = info[i].size;
    declaration.parameters.push_back(std::move(parameter));
  }
}

void read_hooks(Declaration &declaration, const Tags &tags, const bpf_object *opened) {
  bpf_program *program;
  bpf_object__for_each_program(program, opened) {
    Hook hook;
    hook.program = bpf_program__name(program);
    hook.section = bpf_program__section_name(program);
    if (hook.section.starts_with("?")) hook.section.erase(0, 1);
    int id = btf__find_by_name_kind(tags.types(), hook.program.c_str(), BTF_KIND_FUNC);
    CHECK(id > 0);
    auto function = static_cast<uint32_t>(id);
    if (auto lack = tags.find(function, -1, "optional:")) {
      hook.optional = true;
      hook.lack = *lack;
    } else {
      auto plan = tags.find(function, -1, "plan:");
      CHECK(plan.has_value());
      if (*plan != "any") hook.plan = std::stoi(std::string(*plan));
    }
    declaration.hooks.push_back(hook);
    for (std::string_view section : tags.find_all(function, "also:")) {
      CHECK(hook.section.starts_with(Hook::kTracepoint) && section.starts_with(Hook::kTracepoint));
      hook.section = section;
      declaration.hooks.push_back(hook);
    }
  }
}

}  // namespace

bool Declaration::needs_target() const {
  return std::any_of(hooks.begin(), hooks.end(), [](const Hook &hook) { return hook.section.ends_with("/TARGET"); });
}

bool Declaration::takes_target() const {
  return std::any_of(hooks.begin(), hooks.end(),
                     [](const Hook &hook) { return hook.section.find("/TARGET") != std::string::npos; });
}

namespace {

// By the first word of the section.
struct TargetForm {
  std::string_view form;
  std::string_view everywhere;
  std::string_view example;
};
constexpr TargetForm kTargetForms[] = {
    {"uprobe/", "libc:getaddrinfo", "libc:getaddrinfo      names a function of a program or library"},
    {"uretprobe/", "libc:getaddrinfo", "libc:getaddrinfo      names a function of a program or library"},
    // The C++ library, which waggle is linked with, has probes of its own.
    {"usdt/", "/proc/self/exe:libstdcxx:*", "/usr/bin/python3:python:*      names USDT probes of a program or library"},
    {"tracepoint/", "sched:sched_process_fork", "sched:sched_process_fork      names a tracepoint"},
    {"", "vfs_read", "vfs_read      names a kernel function"},
};

const TargetForm &target_form(const std::vector<Hook> &hooks) {
  for (const TargetForm &each : kTargetForms)
    for (const Hook &hook : hooks)
      if (hook.section.find("/TARGET") != std::string::npos && hook.section.starts_with(each.form)) return each;
  return *std::rbegin(kTargetForms);
}

}  // namespace

std::string_view Declaration::example_target() const {
  return target_form(hooks).example;
}

std::string_view Declaration::target_everywhere() const {
  return target_form(hooks).everywhere;
}

const Parameter *Declaration::parameter(std::string_view parameter_name) const {
  for (const Parameter &parameter : parameters)
    if (parameter.name == parameter_name) return &parameter;
  return nullptr;
}

std::span<const SensorObject> sensor_objects() {
  static const std::vector<SensorObject> kObjects = [] {
    std::vector<SensorObject> objects;
    for (const WaggleEmbedded *at = waggle_sensor_objects; at != waggle_sensor_objects_end; at++)
      objects.push_back({at->name, at->area, {at->bytes, at->size}});
    std::sort(objects.begin(), objects.end(), [](auto &a, auto &b) { return a.name < b.name; });
    return objects;
  }();
  return kObjects;
}

void ObjectCloser::operator()(bpf_object *object) const {
  bpf_object__close(object);
}

std::vector<std::byte> unpack(const SensorObject &object) {
  unsigned long long bytes = ZSTD_getFrameContentSize(object.packed.data(), object.packed.size());
  CHECK(bytes != ZSTD_CONTENTSIZE_UNKNOWN && bytes != ZSTD_CONTENTSIZE_ERROR);
  std::vector<std::byte> unpacked(bytes);
  CHECK(ZSTD_decompress(unpacked.data(), bytes, object.packed.data(), object.packed.size()) == bytes);
  return unpacked;
}

ObjectPtr open_object(std::string_view name, std::span<const std::byte> elf, const std::string &core_types) {
  std::string ended_name(name);
  bpf_object_open_opts options = {};
  options.sz = sizeof(options);
  options.object_name = ended_name.c_str();
  if (!core_types.empty()) options.btf_custom_path = core_types.c_str();
  ObjectPtr opened(bpf_object__open_mem(elf.data(), elf.size(), &options));
  CHECK(opened != nullptr);
  return opened;
}

Result<SensorObject> find_sensor_object(std::string_view name) {
  std::vector<std::string_view> names;
  for (const SensorObject &object : sensor_objects()) {
    if (object.name == name) return object;
    names.push_back(object.name);
  }
  std::string_view near = nearest(name, names);
  return fail(ErrorCode::kNotFound, fmt::format("no sensor '{}'", name), {},
              near.empty() ? "waggle list sensors      shows them all" : fmt::format("did you mean '{}'?", near));
}

Declaration read_declaration(const SensorObject &object, const bpf_object *opened) {
  const btf *types = bpf_object__btf(opened);
  CHECK(types != nullptr);
  Tags tags(types);
  Declaration declaration;
  declaration.name = object.name;
  declaration.area = object.area;
  int id = btf__find_by_name_kind(types, "wg_sensor", BTF_KIND_VAR);
  CHECK(id > 0);
  declaration.summary = tags.find(static_cast<uint32_t>(id), -1, "doc:").value_or("");

  if (auto row = pointee_of_variable(types, "wg_events_" + declaration.name)) {
    Schema schema{declaration.name, declaration.summary, Shape::kStream, struct_bytes(types, *row), 0, {}};
    append_columns(schema, tags, *row, Role::kField, 0);
    declaration.events = std::move(schema);
  }
  if (auto key = pointee_of_variable(types, "wg_table_key_" + declaration.name)) {
    auto value = pointee_of_variable(types, "wg_table_value_" + declaration.name);
    CHECK(value.has_value());
    uint32_t key_bytes = struct_bytes(types, *key);
    // A value begins where 8-byte numbers may begin.
    uint32_t value_at = (key_bytes + 7) / 8 * 8;
    Schema schema{
        declaration.name, declaration.summary, Shape::kTable, value_at + struct_bytes(types, *value), value_at, {}};
    append_columns(schema, tags, *key, Role::kKey, 0);
    append_columns(schema, tags, *value, Role::kValue, value_at);
    declaration.table = std::move(schema);
  }
  if (auto row = pointee_of_variable(types, "wg_snapshot_" + declaration.name)) {
    Schema schema{declaration.name, declaration.summary, Shape::kSnapshot, struct_bytes(types, *row), 0, {}};
    append_columns(schema, tags, *row, Role::kField, 0);
    declaration.snapshot = std::move(schema);
  }
  CHECK(declaration.events || declaration.table || declaration.snapshot);
  read_parameters(declaration, tags, Parameter::kConstant);
  read_parameters(declaration, tags, Parameter::kLive);
  read_hooks(declaration, tags, opened);
  return declaration;
}

Result<Declaration> declaration_of(std::string_view name) {
  SensorObject object = TRY(find_sensor_object(name));
  return read_declaration(object, open_object(object.name, unpack(object)).get());
}

}  // namespace waggle
