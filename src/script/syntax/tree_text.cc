#include "script/syntax/tree_text.h"

#include <fmt/format.h>

#include <cctype>

namespace waggle::script {
namespace {

std::string_view prefix_of(UnaryOperator op) {
  switch (op) {
    case UnaryOperator::kNot:
      return "!";
    case UnaryOperator::kBitNot:
      return "~";
    case UnaryOperator::kMinus:
      return "-";
    case UnaryOperator::kPlus:
      return "+";
    case UnaryOperator::kDereference:
      return "*";
    case UnaryOperator::kAddress:
      return "&";
    case UnaryOperator::kIncrementBefore:
      return "++";
    case UnaryOperator::kDecrementBefore:
      return "--";
    case UnaryOperator::kIncrementAfter:
    case UnaryOperator::kDecrementAfter:
      break;
  }
  return {};
}

class Writer {
 public:
  std::string take() { return std::move(text_); }

  void tree(const Tree &tree) {
    for (const CEnum *each : tree.enums) c_enum(*each);
    for (const CRecord *each : tree.records) c_record(*each);
    for (const CTypedef &each : tree.typedefs) {
      put("typedef ");
      type(*each.type);
      put(fmt::format(" {};\n", each.name));
    }
    for (const Import &each : tree.imports) {
      put("import ");
      string(each.name);
      put(";\n");
    }
    if (!tree.config.empty()) {
      put("config = {\n");
      for (const ConfigEntry &each : tree.config) {
        put(fmt::format("  {} = ", each.name));
        expression(*each.value);
        put(";\n");
      }
      put("}\n");
    }
    for (const MapDeclaration &each : tree.maps) {
      put(fmt::format("let @{} = {}(", each.name, each.type));
      expression(*each.entries);
      put(");\n");
    }
    for (const Macro *each : tree.macros) {
      put(fmt::format("macro {}", each->name));
      parameters(each->parameters);
      put(" ");
      block(*each->body);
      put("\n");
    }
    for (const Function *each : tree.functions) {
      put(fmt::format("fn {}", each->name));
      parameters(each->parameters);
      if (each->returned != nullptr) {
        put(" : ");
        type(*each->returned);
      }
      put(" ");
      block(*each->body);
      put("\n");
    }
    for (const Probe *each : tree.probes) {
      for (const AttachText &point : each->points)
        put(fmt::format("{}{}", &point == each->points.data() ? "" : ", ", point.text));
      put(" ");
      if (each->predicate != nullptr) {
        put("/");
        expression(*each->predicate);
        put("/ ");
      }
      block(*each->body);
      put("\n");
    }
  }

  void expression(const Expression &made) {
    switch (made.kind) {
      case ExpressionKind::kInteger: {
        const auto &number = as<IntegerLiteral>(made);
        put(fmt::format("{}{}", number.value, number.is_unsigned ? "u" : number.is_duration ? "ns" : ""));
        break;
      }
      case ExpressionKind::kString:
        string(as<StringLiteral>(made).text);
        break;
      case ExpressionKind::kBool:
        put(as<BoolLiteral>(made).value ? "true" : "false");
        break;
      case ExpressionKind::kIdentifier:
        put(as<Identifier>(made).name);
        break;
      case ExpressionKind::kPositional:
        put(fmt::format("${}", as<Positional>(made).number));
        break;
      case ExpressionKind::kPositionalCount:
        put("$#");
        break;
      case ExpressionKind::kVariable:
        put(fmt::format("${}", as<Variable>(made).name));
        break;
      case ExpressionKind::kMap: {
        const auto &map = as<MapAccess>(made);
        put(fmt::format("@{}", map.name));
        if (map.has_key) list("[", map.key, "]");
        break;
      }
      case ExpressionKind::kCall:
        put(as<Call>(made).name);
        list("(", as<Call>(made).arguments, ")");
        break;
      case ExpressionKind::kUnary:
        unary(as<Unary>(made));
        break;
      case ExpressionKind::kBinary: {
        const auto &binary = as<Binary>(made);
        put("(");
        expression(*binary.left);
        put(fmt::format(" {} ", text_of(binary.op)));
        expression(*binary.right);
        put(")");
        break;
      }
      case ExpressionKind::kConditional: {
        const auto &conditional = as<Conditional>(made);
        put("(");
        expression(*conditional.condition);
        put(" ? ");
        expression(*conditional.yes);
        put(" : ");
        expression(*conditional.no);
        put(")");
        break;
      }
      case ExpressionKind::kCast:
        put("((");
        type(*as<Cast>(made).type);
        put(")");
        expression(*as<Cast>(made).operand);
        put(")");
        break;
      case ExpressionKind::kField: {
        const auto &field = as<FieldAccess>(made);
        expression(*field.operand);
        put(field.is_arrow ? "->" : ".");
        put(field.name);
        break;
      }
      case ExpressionKind::kIndex:
        expression(*as<Index>(made).operand);
        put("[");
        expression(*as<Index>(made).index);
        put("]");
        break;
      case ExpressionKind::kTuple: {
        const auto &tuple = as<Tuple>(made);
        // One field needs a comma to be a tuple.
        list("(", tuple.fields, tuple.fields.size() == 1 ? ",)" : ")");
        break;
      }
      case ExpressionKind::kRecord: {
        put("(");
        for (const NamedValue &field : as<RecordLiteral>(made).fields) {
          if (&field != as<RecordLiteral>(made).fields.data()) put(", ");
          put(fmt::format("{}=", field.name));
          expression(*field.value);
        }
        put(")");
        break;
      }
      case ExpressionKind::kSizeof:
        of("sizeof", as<Sizeof>(made).type, as<Sizeof>(made).operand);
        put(")");
        break;
      case ExpressionKind::kTypeinfo:
        of("typeinfo", as<Typeinfo>(made).type, as<Typeinfo>(made).operand);
        put(")");
        break;
      case ExpressionKind::kOffsetof: {
        const auto &offset = as<Offsetof>(made);
        of("offsetof", offset.type, offset.operand);
        for (const std::string_view &field : offset.fields)
          put(fmt::format("{}{}", &field == offset.fields.data() ? ", " : ".", field));
        put(")");
        break;
      }
      case ExpressionKind::kComptime:
        put("comptime ");
        expression(*as<Comptime>(made).operand);
        break;
      case ExpressionKind::kBlock:
        block(*as<BlockExpression>(made).block);
        break;
      case ExpressionKind::kIf: {
        const auto &choice = as<IfExpression>(made);
        put("if (");
        expression(*choice.condition);
        put(") ");
        block(*choice.yes);
        if (choice.no == nullptr) break;
        put(" else ");
        block(*choice.no);
        break;
      }
    }
  }

  void type(const TypeSyntax &made) {
    switch (made.base) {
      case TypeSyntax::Base::kNamed:
        break;
      case TypeSyntax::Base::kStruct:
        put("struct ");
        break;
      case TypeSyntax::Base::kUnion:
        put("union ");
        break;
      case TypeSyntax::Base::kEnum:
        put("enum ");
        break;
      case TypeSyntax::Base::kTypeof:
        of("typeof", made.of_type, made.of);
        put(")");
        break;
    }
    put(made.name);
    for (const TypeSyntax::Layer &layer : made.layers) {
      put(layer.is_array ? "[" : "*");
      if (layer.length != nullptr) expression(*layer.length);
      if (layer.is_array) put("]");
    }
  }

 private:
  void put(std::string_view text) { text_ += text; }
  void line() {
    put("\n");
    text_.append(depth_ * 2, ' ');
  }

  void string(std::string_view text) {
    put("\"");
    for (char c : text) {
      if (c == '"' || c == '\\')
        put(fmt::format("\\{}", c));
      else if (c == '\n')
        put("\\n");
      else if (std::isprint(static_cast<unsigned char>(c)) != 0)
        text_ += c;
      else
        put(fmt::format("\\{:03o}", static_cast<unsigned char>(c)));
    }
    put("\"");
  }

  void list(std::string_view begin, std::span<Expression *const> items, std::string_view end) {
    put(begin);
    for (size_t i = 0; i < items.size(); i++) {
      if (i > 0) put(", ");
      expression(*items[i]);
    }
    put(end);
  }

  void of(std::string_view word, const TypeSyntax *of_type, const Expression *operand) {
    put(fmt::format("{}(", word));
    if (of_type != nullptr)
      type(*of_type);
    else
      expression(*operand);
  }

  void unary(const Unary &made) {
    put("(");
    put(prefix_of(made.op));
    expression(*made.operand);
    if (made.op == UnaryOperator::kIncrementAfter) put("++");
    if (made.op == UnaryOperator::kDecrementAfter) put("--");
    put(")");
  }

  void parameters(std::span<const Parameter> list) {
    put("(");
    for (const Parameter &each : list) {
      if (&each != list.data()) put(", ");
      put(each.kind == Parameter::Kind::kVariable ? "$" : each.kind == Parameter::Kind::kMap ? "@" : "");
      put(each.name);
      if (each.type == nullptr) continue;
      put(" : ");
      type(*each.type);
    }
    put(")");
  }

  void block(const Block &made) {
    put("{");
    depth_++;
    for (const Statement *each : made.statements) {
      line();
      statement(*each);
    }
    if (made.value != nullptr) {
      line();
      expression(*made.value);
    }
    depth_--;
    line();
    put("}");
  }

  void statement(const Statement &made) {
    switch (made.kind) {
      case StatementKind::kExpression:
        expression(*as<ExpressionStatement>(made).expression);
        put(";");
        break;
      case StatementKind::kAssign: {
        const auto &assign = as<Assign>(made);
        expression(*assign.target);
        put(fmt::format(" {}= ", assign.is_compound ? text_of(assign.op) : ""));
        expression(*assign.value);
        put(";");
        break;
      }
      case StatementKind::kLet: {
        const auto &let = as<Let>(made);
        put(fmt::format("let ${}", let.variable->name));
        if (let.type != nullptr) {
          put(" : ");
          type(*let.type);
        }
        if (let.value != nullptr) {
          put(" = ");
          expression(*let.value);
        }
        put(";");
        break;
      }
      case StatementKind::kWhile:
        put("while (");
        expression(*as<While>(made).condition);
        put(") ");
        block(*as<While>(made).body);
        break;
      case StatementKind::kFor: {
        const auto &loop = as<For>(made);
        put(fmt::format("for (${} : ", loop.variable->name));
        if (loop.over != nullptr) {
          expression(*loop.over);
        } else {
          expression(*loop.first);
          put("..");
          expression(*loop.end);
        }
        put(") ");
        block(*loop.body);
        break;
      }
      case StatementKind::kUnroll:
        put("unroll (");
        expression(*as<Unroll>(made).times);
        put(") ");
        block(*as<Unroll>(made).body);
        break;
      case StatementKind::kReturn:
        put("return");
        if (as<Return>(made).value != nullptr) {
          put(" ");
          expression(*as<Return>(made).value);
        }
        put(";");
        break;
      case StatementKind::kBreak:
        put("break;");
        break;
      case StatementKind::kContinue:
        put("continue;");
        break;
    }
  }

  void c_record(const CRecord &made) {
    put(fmt::format("{} {} {{ ", made.is_union ? "union" : "struct", made.name));
    for (const CField &field : made.fields) {
      if (field.type != nullptr)
        type(*field.type);
      else
        put(fmt::format("{} {}", field.record->is_union ? "union" : "struct", field.record->name));
      put(fmt::format(" {}", field.name));
      if (field.bits != nullptr) {
        put(" : ");
        expression(*field.bits);
      }
      put("; ");
    }
    put("};\n");
  }

  void c_enum(const CEnum &made) {
    put(fmt::format("enum {} {{ ", made.name));
    for (const CEnumerator &each : made.values) {
      put(each.name);
      if (each.value != nullptr) {
        put(" = ");
        expression(*each.value);
      }
      put(", ");
    }
    put("};\n");
  }

  std::string text_;
  size_t depth_ = 0;
};

}  // namespace

std::string text_of(const Tree &tree) {
  Writer writer;
  writer.tree(tree);
  return writer.take();
}
std::string text_of(const Expression &expression) {
  Writer writer;
  writer.expression(expression);
  return writer.take();
}
std::string text_of(const TypeSyntax &type) {
  Writer writer;
  writer.type(type);
  return writer.take();
}

}  // namespace waggle::script
