// Records, arrays, pointers and casts.
#include <fmt/format.h>

#include <charconv>

#include "script/check/checker.h"
#include "script/check/type_rules.h"

namespace waggle::script {
namespace {

bool is_digits(std::string_view name) {
  return !name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Type Checker::in_space(const Type &type, AddressSpace space) {
  if (!type.is(TypeKind::kPointer) || type.space() != AddressSpace::kNone) return type;
  return Type::pointer(type.element(), space);
}

Type Checker::complete(const Type &type) {
  return c_types_.complete(type);
}

// Of what pointers that lie there point at.
AddressSpace Checker::space_of(const Node &place) const {
  const Node *at = &place;
  while ((at->op == Op::kField || at->op == Op::kElement) && !at->in.empty()) at = at->in.front();
  if (at->op == Op::kDereference && at->in.front()->type.space() != AddressSpace::kNone)
    return at->in.front()->type.space();
  return default_space();
}

Value Checker::field(const FieldAccess &access) {
  if (access.operand->kind == ExpressionKind::kIdentifier && as<Identifier>(*access.operand).name == "args" &&
      !frame_->expressions.contains("args")) {
    const Arguments *known = arguments();
    Provider provider = unit_->provider();
    bool has_them = provider == Provider::kTracepoint || provider == Provider::kFentry ||
                    provider == Provider::kFexit || provider == Provider::kRawTracepoint ||
                    provider == Provider::kIterator || provider == Provider::kUprobe;
    // The name says what is wrong.
    if (!has_them || known == nullptr) return expression(*access.operand);
    const Argument *found = known->find(access.name);
    if (found == nullptr && known->returned && access.name == known->returned->name) found = &*known->returned;
    if (found == nullptr) {
      std::string of = unit_->first().point.text();
      std::string hint;
      for (const Argument &each : known->parameters) {
        if (each.is_listed) hint += fmt::format("{}{}", hint.empty() ? "it has " : ", ", each.name);
      }
      if (provider == Provider::kTracepoint)
        return wrong(access.name_at.to(access.name_at),
                     fmt::format("Struct/union of type 'struct _tracepoint_{}_{}' does not contain a field named '{}'",
                                 unit_->first().point.target, unit_->first().point.function, access.name),
                     hint);
      return wrong(access.name_at, fmt::format("Can't find function parameter {}", access.name), hint);
    }
    return argument_value(*found, access.at);
  }
  Value of = expression(*access.operand);
  if (!of) return {};
  return field_of(of, access.name, access.at, access.name_at);
}

Value Checker::field_of(const Value &of, std::string_view name, const Location &at, const Location &name_at) {
  Value base = of;
  if (base.type().is(TypeKind::kPointer)) {
    const Type &element = base.type().element();
    if (element.is(TypeKind::kRecord) || element.is(TypeKind::kTuple)) base = dereference(base, at);
    if (!base) return {};
  }
  const Type &type = base.type();
  if (type.is(TypeKind::kTuple)) {
    const std::vector<Field> &fields = type.fields();
    const Field *found = type.field(std::string(name));
    if (is_digits(name)) {
      size_t number = 0;
      std::from_chars(name.data(), name.data() + name.size(), number);
      if (number >= fields.size())
        return wrong(at, fmt::format("Invalid tuple index: {}. Found {} elements in tuple.", number, fields.size()));
      found = &fields[number];
    }
    if (found == nullptr) return wrong(name_at, fmt::format("Record does not contain a field named '{}'", name));
    Node &node = make(Op::kField, found->type, at, {base.node}, found->offset);
    return {&node, false, {}, {}};
  }
  if (is_digits(name))
    return wrong(at, fmt::format("Can not access index '{}' on expression of type '{}'", name, type.name()));
  if (!type.is(TypeKind::kRecord))
    return wrong(at, fmt::format("Can not access field '{}' on expression of type '{}'", name, type.name()));
  Type full = complete(type);
  if (full.fields().empty() && full.bytes() == 0)
    return wrong(at, fmt::format("Unknown struct/union: '{}'", full.name()));
  const Field *found = full.field(std::string(name));
  if (found == nullptr)
    return wrong(name_at,
                 fmt::format("Struct/union of type '{}' does not contain a field named '{}'", full.name(), name));
  Node &node = make(Op::kField, in_space(complete(found->type), space_of(*base.node)), at, {base.node}, found->offset);
  node.bit_offset = static_cast<uint8_t>(found->bit_offset);
  node.bit_size = static_cast<uint8_t>(found->bit_size);
  return {&node, false, {}, {}};
}

Value Checker::index(const Index &index) {
  Value of = expression(*index.operand), at = expression(*index.index);
  if (!of || !at) return {};
  if (of.type().is(TypeKind::kString) && at.type().is_integral()) {
    const Node *begin = address_of_value(of, index.at);
    bool in_bpf = begin->type.space() == AddressSpace::kNone;
    if (in_bpf && !at.is_constant())
      return wrong(index.index->at, "a string that is a value is indexed by a number that is written");
    if (at.is_constant() && (at.node->number < 0 || static_cast<uint64_t>(at.node->number) >= of.type().bytes()))
      return wrong(index.at, fmt::format("the index {} is out of bounds for array of size {}", at.node->number,
                                         of.type().bytes()));
    Type character = Type::integer(1, true);
    Value pointer{convert(begin, Type::pointer(character, begin->type.space())), false, {}, {}};
    Value place = binary(BinaryOperator::kAdd, pointer, at, index.at);
    return value(Op::kDereference, character, index.at, {place.node});
  }
  const Type &type = of.type();
  if (!type.is(TypeKind::kArray) && !type.is(TypeKind::kPointer)) {
    // A tuple's fields by number: (1, 2)[0] is not the language's.
    return wrong(index.at, fmt::format("The array index operator [] can only be used on arrays and pointers, found {}.",
                                       type.name()));
  }
  if (!at.type().is_integral())
    return wrong(index.index->at, fmt::format("The array index operator [] only accepts positive (unsigned) integer "
                                              "indices. Got: {}",
                                              at.type().name()));
  if (type.is(TypeKind::kPointer)) return dereference(binary(BinaryOperator::kAdd, of, at, index.at), index.at);
  if (at.is_constant() && at.node->number < 0)
    return wrong(index.index->at,
                 "The array index operator [] only accepts positive (unsigned) integer indices. Got: "
                 "int64");
  if (at.is_constant() && type.count() != 0 && static_cast<uint64_t>(at.node->number) >= type.count())
    return wrong(index.at,
                 fmt::format("the index {} is out of bounds for array of size {}", at.node->number, type.count()));
  Type element = in_space(complete(type.element()), space_of(*of.node));
  return value(Op::kElement, element, index.at, {of.node, to_u64(at)});
}

Value Checker::dereference(const Value &pointer, const Location &at) {
  if (!pointer) return {};
  const Type &type = pointer.type();
  if (!type.is(TypeKind::kPointer)) {
    return wrong(at, fmt::format("Can not dereference value of type '{}' (not a pointer)", type.name()));
  }
  Type element = complete(type.element());
  if (element.is(TypeKind::kVoid) || element.bytes() == 0) {
    if (element.is(TypeKind::kRecord)) return wrong(at, fmt::format("Unknown struct/union: '{}'", element.name()));
    return wrong(at, fmt::format("Can not dereference a pointer to '{}'", element.name()));
  }
  AddressSpace space = type.space() == AddressSpace::kNone ? default_space() : type.space();
  Node &node = make(Op::kDereference, in_space(element, space), at, {pointer.node});
  node.action = read_error(at, type.space(), /*is_text=*/false);
  return {&node, false, {}, {}};
}

Value Checker::address_of(const Unary &of) {
  const Expression &operand = *of.operand;
  if (operand.kind == ExpressionKind::kVariable) {
    const auto &name = as<Variable>(operand);
    KnownVariable *known = find_variable(name.name);
    if (known == nullptr || known->type.is(TypeKind::kNone))
      return wrong(name.at, fmt::format("Undefined or undeclared variable: ${}", name.name));
    return value(Op::kVariableAddress, Type::pointer(known->type), of.at, {}, use(*known));
  }
  if (operand.kind == ExpressionKind::kMap) {
    const auto &access = as<MapAccess>(operand);
    KnownMap *map = map_of(access);
    if (map == nullptr) return {};
    std::optional<const Node *> key = key_of(access, *map);
    if (!key) return {};
    if (map->value.is(TypeKind::kNone)) return wrong(access.at, fmt::format("Undefined map: @{}", map->name));
    Node &node = make(Op::kMapAddress, Type::pointer(map->value), of.at);
    if (*key != nullptr) node.in.push_back(*key);
    node.map = map->index;
    return {&node, false, {}, {}};
  }
  Value place = expression(operand);
  if (!place) return {};
  Op op = place.node->op;
  bool is_place = op == Op::kField || op == Op::kElement || op == Op::kDereference || op == Op::kContext;
  if (!is_place) return wrong(of.at, "Address-of operator '&' can only be used on variables, maps and fields");
  if (op == Op::kDereference) return {place.node->in.front(), false, {}, {}};
  return value(Op::kAddress, Type::pointer(place.type(), space_of(*place.node)), of.at, {place.node});
}

// --- casts -------------------------------------------------------------------------

Value Checker::cast(const Cast &cast) {
  Value of = expression(*cast.operand);
  Type to = type(*cast.type);
  if (!of || to.is(TypeKind::kNone)) return {};
  bool without_length =
      to.is(TypeKind::kArray) && to.count() == 0 && !cast.type->layers.empty() && of.type().bytes() > 0;
  if (without_length && to.element().bytes() > 0) {
    if (of.type().bytes() % to.element().bytes() != 0)
      return wrong(cast.at, fmt::format("Cannot cast from \"{}\" to \"{}\"", of.type().name(), to.name()));
    to = Type::array(to.element(), of.type().bytes() / to.element().bytes());
  }
  return cast_to(of, to, cast.at);
}

Value Checker::cast_to(const Value &of, const Type &to, const Location &at) {
  const Type &from = of.type();
  auto done = [&](const Type &type) {
    // It is its own node, so that it is no plain number any more.
    return Value{convert(of, type), false, {}, {}};
  };
  if (from == to) return Value{of.node, false, {}, {}};
  bool from_number = from.is_integral() || from.is(TypeKind::kPointer);
  switch (to.kind()) {
    case TypeKind::kBool:
    case TypeKind::kInteger:
    case TypeKind::kEnum:
      if (to.is(TypeKind::kEnum) && of.is_constant() && to.enumerator(of.node->number).empty())
        return wrong(
            at, fmt::format("Enum: {} doesn't contain a variant value of {}", to.name().substr(5), of.node->number));
      if (from_number) return done(to);
      if (from.is(TypeKind::kArray) && from.element().is_integral() && from.bytes() >= to.bytes() &&
          (from.bytes() == to.bytes() || from.bytes() <= 8)) {
        Value word{convert(of, Type::integer(from.bytes(), to.is_signed())), false, {}, {}};
        return {convert(word, to), false, {}, {}};
      }
      if (from.is(TypeKind::kKernelSymbol) || from.is(TypeKind::kUserSymbol) || from.is(TypeKind::kUsername))
        return done(to);
      break;
    case TypeKind::kPointer:
      if (from.is(TypeKind::kPointer)) return done(Type::pointer(to.element(), from.space()));
      if (from.is_integral()) return done(in_space(to, default_space()));
      if (from.is(TypeKind::kArray)) {
        Op op = of.node->op;
        bool is_place = op == Op::kField || op == Op::kElement || op == Op::kDereference || op == Op::kContext;
        if (is_place) return value(Op::kAddress, Type::pointer(to.element(), space_of(*of.node)), at, {of.node});
      }
      break;
    case TypeKind::kArray:
      if (from.is_integral() && to.element().is_integral()) {
        if (from.bytes() == to.bytes()) return done(to);
        if (of.is_plain || from.bytes() < to.bytes()) {
          uint32_t bytes = to.bytes();
          if (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8)
            return {convert(convert(of, Type::integer(bytes, from.is_signed())), to), false, {}, {}};
        }
      }
      if (from.is(TypeKind::kArray) && from.bytes() == to.bytes()) return done(to);
      break;
    case TypeKind::kString:
      if (from.is(TypeKind::kString)) return done(to);
      break;
    case TypeKind::kTuple:
      if (from.is(TypeKind::kTuple) && common_type(from, to)) return done(to);
      break;
    default:
      break;
  }
  return wrong(at, fmt::format("Cannot cast from \"{}\" to \"{}\"", from.name(), to.name()));
}

// --- types that are written ------------------------------------------------------------

Type Checker::base_type(const TypeSyntax &syntax, size_t &layers_used) {
  if (syntax.base == TypeSyntax::Base::kTypeof) {
    Type known = syntax.of_type != nullptr ? type(*syntax.of_type) : type_of(*syntax.of);
    return known;
  }
  if (syntax.base != TypeSyntax::Base::kNamed) return c_types_.resolve(syntax.base, syntax.name);
  bool is_text = syntax.name == "string", is_buffer = syntax.name == "buffer";
  if (is_text || is_buffer) {
    auto bytes = static_cast<uint32_t>(script_.config.max_strlen);
    if (!syntax.layers.empty() && syntax.layers[0].is_array && syntax.layers[0].length != nullptr) {
      Value length = expression(*syntax.layers[0].length);
      if (length && length.is_constant() && length.node->number >= 0 && length.node->number <= UINT16_MAX * 16)
        bytes = static_cast<uint32_t>(length.node->number);
      else
        wrong(syntax.at, fmt::format("the length of a {} must be a number", syntax.name));
      layers_used = 1;
    }
    return is_text ? Type::string(bytes) : Type::buffer(bytes);
  }
  if (syntax.name == "inet") return Type(TypeKind::kInet, 24);
  if (syntax.name == "mac_address") return Type(TypeKind::kMacAddress, 6);
  if (syntax.name == "ksym_t" || syntax.name == "ksym") return Type(TypeKind::kKernelSymbol, 8);
  if (syntax.name == "usym_t" || syntax.name == "usym") return Type(TypeKind::kUserSymbol, 16);
  return c_types_.resolve(syntax.base, syntax.name);
}

// kNone: there is none, which has been told.
Type Checker::type(const TypeSyntax &syntax) {
  size_t used = 0;
  Type made = base_type(syntax, used);
  if (made.is(TypeKind::kNone)) {
    if (syntax.base == TypeSyntax::Base::kTypeof) return made;
    std::string_view keyword = syntax.base == TypeSyntax::Base::kStruct  ? "struct "
                               : syntax.base == TypeSyntax::Base::kUnion ? "union "
                               : syntax.base == TypeSyntax::Base::kEnum  ? "enum "
                                                                         : "";
    wrong(syntax.at, fmt::format("Cannot resolve unknown type \"{}{}\"", keyword, syntax.name));
    return made;
  }
  // `int32*[4]` is an array of pointers, and `int32[4]*` a pointer to an array.
  for (size_t i = used; i < syntax.layers.size(); i++) {
    const TypeSyntax::Layer &layer = syntax.layers[i];
    if (!layer.is_array) {
      made = Type::pointer(made);
      continue;
    }
    int64_t count = 0;
    if (layer.length != nullptr) {
      Value length = expression(*layer.length);
      if (!length || !length.is_constant() || length.node->number < 0 || length.node->number > INT32_MAX / 8) {
        wrong(layer.length->at, "the length of an array must be a number");
        return Type();
      }
      count = length.node->number;
    }
    made = Type::array(made, static_cast<uint32_t>(count));
  }
  return made;
}

}  // namespace waggle::script
