// Writes one program of a script as functions of codegen: the program itself, and one for
// each loop that the kernel calls back. For lower() alone.
//
// Values. Numbers (is_scalar()) are registers or constants of 64 bits, extended as their
// type's sign says. All others are bytes in BPF memory: a stack slot where they are few, else
// a piece of the program's scratch memory. What a string has behind its first NUL is
// undefined, unless it is wanted clean: as a key, whose bytes are compared.
//
// Variables are registers where they can be. What a callback touches lives in the frame: a
// slot of the main function whose address every callback is given. Its first words are
// the context, the scratch memory and whether the program is to end.
//
// A program is written twice: the first time finds out what it needs (Needs).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "codegen/builder.h"
#include "script/lower/plan.h"
#include "script/lower/usage.h"
#include "script/program/program.h"

namespace waggle::script {

// A loop that is not a callback ends at last: the verifier walks every turn of it.
constexpr uint32_t kLoopsMost = 1024;

// A number, in a register or known.
bool is_scalar(const Type &type);
// Of a number of 1, 2, 4 or 8 bytes.
codegen::Size size_of(const Type &type);
// The greatest access that is aligned at this offset, of at most `left` bytes.
codegen::Size chunk_at(uint64_t offset, uint64_t left);

// How a program can be interrupted by itself, on the same CPU.
enum class Reentry : uint8_t {
  kNever,      // the kernel does not let it: bpf_prog_active
  kNested,     // by interrupts, which end before it goes on
  kPreempted,  // by other tasks as well
};
Reentry reentry_of(Mechanism mechanism);
// How many scratch memories a CPU has for a program.
constexpr uint32_t kScratchLevels = 4;
uint32_t scratch_levels(Mechanism mechanism);

struct Needs {
  uint32_t scratch_bytes = 0, frame_bytes = 0, zero_bytes = 0;
  bool predicate_scratch = false;  // already the predicate wants it
  bool has_callbacks = false;
  bool context = false, scratch = false, returned = false;  // callbacks want these words of the frame
};

class Writer {
 public:
  struct Context {
    const Script &script;
    const Program &program;
    const Sources &sources;
    const LowerOptions &options;
    const Plan &plan;
    const Usage &usage;
    codegen::MapId scratch = 0;
    uint32_t stack_limit = 0;   // values of more bytes are not put on the stack
    bool exact_counts = false;  // per-CPU numbers may be interrupted while they are added to
  };

  // needs: what was found before; null: it is the first time, and what is written is of no use
  Writer(const Context &context, const Needs *needs);

  // errors: Unsupported, the kernel lacks something
  Result<std::vector<codegen::Function>> write();
  const Needs &found() const { return found_; }

 private:
  using Register = codegen::Register;
  using Value = codegen::Value;
  using Label = codegen::Label;
  using Size = codegen::Size;
  using Condition = codegen::Condition;

  // BPF memory: a slot, a register that points there, or a map's value.
  struct Memory {
    Value base;
    int64_t offset = 0;
    Memory at(int64_t more) const { return {base, offset + more}; }
  };
  // Where a value may lie.
  struct Place {
    enum class Space : uint8_t { kBpf, kContext, kKernel, kUser };
    Space space = Space::kBpf;
    Value base;
    int64_t offset = 0;
    uint32_t action = kNoAction;
    Place at(int64_t more) const { return {space, base, offset + more, action}; }
  };
  // Where a variable is.
  struct Storage {
    enum class Kind : uint8_t { kRegister, kSlot, kFrame, kScratch } kind = Kind::kRegister;
    Register in;
    uint32_t offset = 0;
    codegen::Slot slot;
  };
  // A loop of the function that is being written, or the function's being one.
  struct Loop {
    bool is_callback = false;
    Label after, next;
  };
  // A function that is being written.
  struct Part {
    Part(std::string name, uint32_t parameters) : builder(std::move(name), parameters) {}
    codegen::Builder builder;
    codegen::FunctionId id = 0;
    Value frame;  // where the frame's words are
    std::optional<Register> context, scratch;
    std::vector<Loop> loops;
    std::vector<codegen::Slot> temporaries;  // of the statement at hand
  };
  // What the statement at hand has taken.
  struct Mark {
    size_t temporaries = 0;
    uint32_t scratch_top = 0;
  };
  struct Bounds {
    Value size;            // bytes to read
    bool is_known = true;  // a constant, and not 0
  };

  // What is looked for in a string: a text, or another string.
  struct Search {
    uint32_t in_bytes = 0, needle_bytes = 0;
    std::optional<std::string> text;
  };

  codegen::Builder &b() { return part_->builder; }
  bool is_callback() const { return part_->id != 0; }

  // ---- writer.cc: the program, its memory, its frame
  void begin_main();
  void write_predicate(const Node &predicate);
  void check_process();
  void begin_scratch();
  void begin_guarded_scratch();
  void end_main();
  void place_variables();
  void zero_variables();
  void at(const Location &location);
  Mark mark() const { return {part_->temporaries.size(), scratch_top_}; }
  void release(const Mark &mark);
  Memory temporary(uint32_t bytes);
  uint32_t take_scratch(uint32_t bytes);
  Memory frame(uint32_t offset) const { return {part_->frame, offset}; }
  uint32_t frame_word();
  Register context();
  Memory scratch_at(uint32_t offset);
  Value zeros(uint32_t bytes);
  void begin_callback();
  void set_returned();
  Register load_returned();
  void unsupported(const Location &at, std::string what, std::string_view helper, std::string_view since);
  void fault(ErrorCode code, const Location &at, std::string what, std::string why, std::string fix);
  // Writes a function that takes the frame as its parameter number `frame`. It returns 0 at
  // its end.
  template <typename Body>
  codegen::FunctionId callback(const std::string &what, uint32_t parameters, uint32_t frame, Body body);

  // ---- memory.cc
  Value address(const Memory &memory);
  Register load(Size size, const Memory &memory, bool is_signed = false);
  void store(Size size, const Memory &memory, const Value &value);
  Register load_number(const Type &type, const Memory &memory);
  void store_number(const Type &type, const Memory &memory, const Value &value);
  void zero(const Memory &memory, uint32_t bytes);
  void copy_bytes(const Memory &to, const Memory &from, uint32_t bytes);
  void copy(const Type &type, const Memory &to, const Memory &from, bool clean);
  void copy_string(const Memory &to, uint32_t to_bytes, const Memory &from, uint32_t from_bytes, bool clean);
  void clean_string(const Memory &memory, uint32_t bytes);
  void zero_gaps(const Type &type, const Memory &memory);
  void write_text(const Memory &to, const std::string &text, uint32_t bytes);
  Place place(const Node &node);
  Place element_place(const Node &node);
  Place bpf_place(const Memory &memory) const { return {Place::Space::kBpf, memory.base, memory.offset, kNoAction}; }
  Value place_address(const Place &place);
  Value read(const Place &place, const Type &type);
  Value read_field(const Node &node);
  void read_into(const Place &place, const Type &type, const Memory &to, bool clean);
  void probe_read(const Place &place, uint32_t bytes, const Memory &to);
  void copy_context(const Place &place, uint32_t bytes, const Memory &to);
  Value typed_pointer(const Node &node);

  // ---- values.cc
  Value scalar(const Node &node);
  Value narrow(const Type &type, const Value &value);
  Value arithmetic(const Node &node);
  Value divide(const Node &node);
  Value convert_number(const Node &node);
  Value conditional(const Node &node);
  Value truth(const Node &node);
  Value increment(const Node &node, bool wants_value);
  Value increment_map(const Node &node, bool wants_value);
  void branch(const Node &node, const Label &target, bool when);
  void branch_equal(const Node &node, const Label &target, bool when);
  void compare_bytes(const Type &type, const Memory &one, const Memory &two, const Label &different);
  // Bytes of a value that is none number. write() puts them where they are wanted; memory()
  // says where they are.
  void write(const Node &node, const Memory &to, bool clean);
  void write_tuple(const Node &node, const Memory &to, bool clean);
  void write_converted(const Node &node, const Memory &to, bool clean);
  void convert_fields(const Type &from_type, const Memory &from, const Type &to_type, const Memory &to, bool clean);
  Memory memory(const Node &node, bool clean = false);
  void effect(const Node &node);
  Memory variable_memory(uint32_t variable);
  void assign_variable(uint32_t variable, const Node &value);
  // Whether it reads what is about to be written.
  bool reads_variable(const Node &node, uint32_t variable) const;
  bool reads_map(const Node &node, uint32_t map) const;

  // ---- builtins.cc
  bool builtin(const Node &node, Value &value);
  bool write_builtin(const Node &node, const Memory &to, bool clean);
  Value process_id(bool wants_thread, bool initial_namespace);
  Value nanoseconds(int64_t clock);
  Value global(Global which);
  Value launder(const Value &pointer);
  Value context_word(const Node &node);
  Value pt_register(uint32_t offset);
  Value function_address();
  Value user_mode();
  Value usdt_argument(const Node &node);
  Value per_cpu_address(const Node &node);
  Value context_data(const Node &node);
  void write_inet(const Node &node, const Memory &to);

  // ---- strings.cc
  Bounds text_bounds(const Node *limit, uint32_t bytes_most);
  void write_string(const Node &node, const Memory &to, bool clean);
  void write_buffer(const Node &node, const Memory &to, bool clean);
  void write_path(const Node &node, const Memory &to, bool clean);
  void branch_strings(const Node &one, const Node &two, std::optional<uint64_t> limit, const Label &target, bool when);
  void compare_text(const Memory &memory, const std::string &text, uint64_t bytes, const Label &different);
  void compare_strings(const Memory &one, const Memory &two, uint64_t bytes, const Label &different,
                       std::optional<Label> when_ended = std::nullopt);
  void compare_word(const Value &one, const Value &two, Size size, const Label &equal, const Label &different);
  Value string_length(const Node &node);
  Value string_length(const Memory &memory, uint32_t bytes);
  Value string_find(const Node &node);
  void search_at(const Search &search, const Value &in, const Value &needle, const Value &index, const Label &hit,
                 const Label &next, const Label &end);
  Value compare_memory(const Node &node);
  Place place_of_pointer(const Node &pointer, uint32_t action);

  // ---- maps.cc
  Value map_key(uint32_t map, const Node *key);
  Memory map_memory(uint32_t map) const;  // of an array's only value
  Register lookup(uint32_t map, const Value &key);
  Value map_number(const Node &node);
  Memory map_value_memory(const Node &node);
  Value map_has(const Node &node);
  Value map_delete(const Node &node);
  Value map_length(const Node &node);
  void zero_scalar(uint32_t map, const Value &key, const Location &at);
  void assign_map(const Step &step);
  // Its value's memory; a new one of zeros where there is none.
  Register find_or_insert(uint32_t map, const Value &key, uint32_t bytes, uint32_t action, const Label &failed);

  // ---- aggregates.cc
  void count(const Step &step);
  void count_into(const Type &type, const Memory &at, const Value &value, const Value &times, const Label &done);
  void add_to(const Memory &memory, const Value &value);
  void count_extreme(bool is_max, bool is_signed, const Memory &at, const Value &value);
  Value hist_index_of(const Value &value, uint32_t bits);
  Value log2(const Value &value);
  Value lhist_index_of(const Value &value, const AggregateParameters &parameters);
  void count_bucket(const Memory &at, const Value &index, uint32_t buckets, const Value &times, const Label &done);
  void count_tseries(const Type &type, const Memory &at, const Value &value, const Label &done);
  template <typename Visit>
  void each_cpu(uint32_t map, const Value &key, const Location &at, Visit visit);
  void zero_copies(uint32_t map, const Value &key, uint32_t bytes, const Location &at);
  Value reduced(uint32_t map, const Value &key, const Location &at);

  // ---- steps.cc
  void block(const std::vector<const Step *> &steps);
  void step(const Step &step);
  void if_step(const Step &step);
  void while_step(const Step &step);
  void for_range(const Step &step);
  void for_map(const Step &step);
  void return_step(const Step &step);
  void leave_loop(bool continues);
  void after_callback();
  void body_of_callback(const Step &step);
  void set_number(uint32_t variable, const Value &value);

  // ---- events.cc
  void emit(const Node &node);
  void emit_error(uint32_t action, const Value &code);
  template <typename Row>
  void send(uint32_t action, uint32_t row_bytes, Row row);
  Value wake_up_flags(uint32_t action, uint32_t bytes);
  void count_lost();
  bool is_simple(const Node &node) const;

  // ---- stacks.cc
  Value stack(const Node &node);
  Value stack_hash(const Memory &frames, const Value &count, uint32_t most);
  Value stack_length(const Node &node);

  const Script &script_;
  const Program &program_;
  const Sources &sources_;
  const LowerOptions &options_;
  const Plan &plan_;
  const Usage &usage_;
  const codegen::MapId scratch_map_;
  const uint32_t stack_limit_;
  const bool exact_counts_;
  const Mechanism mechanism_;
  const Needs needs_;
  const bool is_rehearsal_;
  Needs found_;

  std::vector<codegen::Function> functions_;
  std::unique_ptr<Part> main_;
  Part *part_ = nullptr;
  std::vector<Storage> storage_;
  Label end_, leave_;  // of the main function; leave_: scratch memory is given back
  Register returns_;   // what it returns there
  uint32_t frame_top_ = 0, scratch_top_ = 0;
  bool has_scratch_ = false;  // its memory has been found
  std::optional<Error> error_;
};

}  // namespace waggle::script
