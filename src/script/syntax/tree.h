// The tree of a script: what it says, and nothing of what it means.
//
// Nodes live in an Arena and are freed with it. What later passes learn of an expression
// (its type, say) they keep beside the tree, by its `id`.
// source: bpftrace(8), "The bpftrace Language"; version 0.27
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/check.h"
#include "script/syntax/source.h"

namespace waggle::script {

struct Block;
struct TypeSyntax;

enum class ExpressionKind : uint8_t {
  kInteger,
  kString,
  kBool,
  kIdentifier,  // a builtin (pid), an enumerator, a macro's parameter
  kPositional,  // $1
  kPositionalCount,
  kVariable,  // $x
  kMap,       // @x, @x[1, 2]
  kCall,
  kUnary,
  kBinary,
  kConditional,
  kCast,
  kField,  // a.b, a->b, a.0
  kIndex,  // a[1]
  kTuple,
  kRecord,  // (a=1, b=2)
  kSizeof,
  kOffsetof,
  kTypeinfo,
  kComptime,
  kBlock,  // { $x = 1; $x + 1 }
  kIf,     // if (c) { 1 } else { 2 }
};

struct Expression {
  ExpressionKind kind;
  uint32_t id;  // from 0, in the order of parsing
  Location at;
};

struct IntegerLiteral : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kInteger;
  uint64_t value;
  bool is_unsigned, is_duration;
};
struct StringLiteral : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kString;
  std::string_view text;
};
struct BoolLiteral : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kBool;
  bool value;
};
struct Identifier : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kIdentifier;
  std::string_view name;
};
struct Positional : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kPositional;
  uint32_t number;
};
struct PositionalCount : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kPositionalCount;
};
struct Variable : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kVariable;
  std::string_view name;  // without the $
};
struct MapAccess : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kMap;
  std::string_view name;  // without the @; may be empty
  bool has_key;           // it may be @x[]: an error, for later
  std::span<Expression *const> key;
  Location name_at;
};
struct Call : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kCall;
  std::string_view name;
  std::span<Expression *const> arguments;
  Location name_at;
};
enum class UnaryOperator : uint8_t {
  kNot,
  kBitNot,
  kMinus,
  kPlus,
  kDereference,
  kAddress,
  kIncrementBefore,
  kDecrementBefore,
  kIncrementAfter,
  kDecrementAfter,
};
struct Unary : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kUnary;
  UnaryOperator op;
  Expression *operand;
};
enum class BinaryOperator : uint8_t {
  kMultiply,
  kDivide,
  kModulo,
  kAdd,
  kSubtract,
  kShiftLeft,
  kShiftRight,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kEqual,
  kNotEqual,
  kBitAnd,
  kBitXor,
  kBitOr,
  kAnd,
  kOr,
};
struct Binary : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kBinary;
  BinaryOperator op;
  Expression *left, *right;
};
struct Conditional : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kConditional;
  Expression *condition, *yes, *no;
};
struct Cast : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kCast;
  TypeSyntax *type;
  Expression *operand;
};
struct FieldAccess : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kField;
  Expression *operand;
  std::string_view name;  // digits: of a tuple
  bool is_arrow;
  Location name_at;
};
struct Index : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kIndex;
  Expression *operand, *index;
};
struct Tuple : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kTuple;
  std::span<Expression *const> fields;
};
struct NamedValue {
  std::string_view name;
  Expression *value;
};
struct RecordLiteral : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kRecord;
  std::span<const NamedValue> fields;
};
// Of sizeof, offsetof and typeinfo: one of both is null.
struct Sizeof : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kSizeof;
  TypeSyntax *type;
  Expression *operand;
};
struct Offsetof : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kOffsetof;
  TypeSyntax *type;
  Expression *operand;
  std::span<const std::string_view> fields;
};
struct Typeinfo : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kTypeinfo;
  TypeSyntax *type;
  Expression *operand;
};
struct Comptime : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kComptime;
  Expression *operand;
};
struct BlockExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kBlock;
  Block *block;
};
struct IfExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::kIf;
  Expression *condition;
  Block *yes, *no;  // `no` may be null
};

// "uint64", "struct file *", "int32[4]", "typeof($x)".
struct TypeSyntax {
  enum class Base : uint8_t { kNamed, kStruct, kUnion, kEnum, kTypeof };
  // Around the base, from the inside.
  struct Layer {
    Expression *length;  // null: a pointer
    bool is_array;       // without a length: of as many as there are
  };
  Location at;
  Base base;
  std::string_view name;
  Expression *of;       // of kTypeof, when it is of an expression
  TypeSyntax *of_type;  // of kTypeof, when it is of a type
  std::span<const Layer> layers;
};

enum class StatementKind : uint8_t {
  kExpression,
  kAssign,
  kLet,
  kWhile,
  kFor,
  kUnroll,
  kReturn,
  kBreak,
  kContinue,
};

struct Statement {
  StatementKind kind;
  Location at;
};

// `if` and blocks are expressions that nobody takes the value of.
struct ExpressionStatement : Statement {
  static constexpr StatementKind kKind = StatementKind::kExpression;
  Expression *expression;
};
struct Assign : Statement {
  static constexpr StatementKind kKind = StatementKind::kAssign;
  Expression *target;  // $x, @x, @x[1]; anything else is an error, for later
  Expression *value;
  bool is_compound;  // with `op`: target = target op value
  BinaryOperator op;
};
struct Let : Statement {
  static constexpr StatementKind kKind = StatementKind::kLet;
  Variable *variable;
  TypeSyntax *type;   // may be null
  Expression *value;  // may be null
};
struct While : Statement {
  static constexpr StatementKind kKind = StatementKind::kWhile;
  Expression *condition;
  Block *body;
};
struct For : Statement {
  static constexpr StatementKind kKind = StatementKind::kFor;
  Variable *variable;
  Expression *over;  // a map; null for a range
  Expression *first, *end;
  Block *body;
};
struct Unroll : Statement {
  static constexpr StatementKind kKind = StatementKind::kUnroll;
  Expression *times;
  Block *body;
};
struct Return : Statement {
  static constexpr StatementKind kKind = StatementKind::kReturn;
  Expression *value;  // may be null
};
struct Break : Statement {
  static constexpr StatementKind kKind = StatementKind::kBreak;
};
struct Continue : Statement {
  static constexpr StatementKind kKind = StatementKind::kContinue;
};

struct Block {
  Location at;
  std::span<Statement *const> statements;
  Expression *value;  // the last expression, without a ';'; may be null
};

struct AttachText {
  std::string_view text;  // "kprobe:vfs_read"
  Location at;
};
struct Probe {
  Location at;
  std::span<const AttachText> points;
  Expression *predicate;  // may be null
  Block *body;
};

struct ConfigEntry {
  Location at;
  std::string_view name;
  Expression *value;  // a literal or a name
};
// let @x = lruhash(100);
struct MapDeclaration {
  Location at;
  std::string_view name, type;
  Expression *entries;
};
struct Parameter {
  Location at;
  std::string_view name;
  enum class Kind : uint8_t { kVariable, kMap, kExpression } kind;
  TypeSyntax *type;  // of functions
};
struct Macro {
  Location at;
  std::string_view name;
  std::span<const Parameter> parameters;
  Block *body;
};
struct Function {
  Location at;
  std::string_view name;
  std::span<const Parameter> parameters;
  TypeSyntax *returned;  // may be null
  Block *body;
};
struct Import {
  Location at;
  std::string_view name;
};

// C's own definitions.
struct CField {
  Location at;
  std::string_view name;  // empty: an anonymous struct or union
  TypeSyntax *type;       // null: `record` is it
  struct CRecord *record;
  Expression *bits;  // of a bit field; else null
};
struct CRecord {
  Location at;
  bool is_union, is_packed;
  std::string_view name;
  std::span<const CField> fields;
};
struct CEnumerator {
  Location at;
  std::string_view name;
  Expression *value;  // null: one more than the one before
};
struct CEnum {
  Location at;
  std::string_view name;
  std::span<const CEnumerator> values;
};
struct CTypedef {
  Location at;
  std::string_view name;
  TypeSyntax *type;
};

struct Tree {
  std::span<const ConfigEntry> config;
  std::span<const Import> imports;
  std::span<const CRecord *const> records;  // in their order, those inside others too
  std::span<const CEnum *const> enums;
  std::span<const CTypedef> typedefs;
  std::span<const MapDeclaration> maps;
  std::span<const Macro *const> macros;
  std::span<const Function *const> functions;
  std::span<const Probe *const> probes;
  uint32_t expressions = 0;  // ids are below it
};

// REQUIRES: it is one
template <typename Node>
const Node &as(const Expression &expression) {
  CHECK(expression.kind == Node::kKind);
  return static_cast<const Node &>(expression);
}
template <typename Node>
const Node &as(const Statement &statement) {
  CHECK(statement.kind == Node::kKind);
  return static_cast<const Node &>(statement);
}

std::string_view text_of(BinaryOperator op);  // "+"

}  // namespace waggle::script
