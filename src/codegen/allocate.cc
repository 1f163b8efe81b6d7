// Registers by graph colouring: two registers whose values are needed at the same time are
// neighbours and get different colours; r0 … r9 are colours and nodes alike, so that a call
// is only an instruction that writes r0 to r5. A move's two ends become one node where that
// cannot make colouring harder. What gets no colour lives on the stack, and all begins anew.
//
// A colouring looks at a whole function, and the functions here are small: hundreds of
// registers take well below a millisecond. In return arguments are computed where the call
// wants them, with hardly a move.
//
// source: Chaitin, "Register allocation & spilling via graph coloring" (1982); Briggs,
// Cooper, Torczon, "Improvements to graph coloring register allocation" (1994); George,
// Appel, "Iterated register coalescing" (1996)
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "codegen/flow.h"
#include "codegen/machine.h"

namespace waggle::codegen {
namespace {

// The matrix of neighbours takes 64 MiB at that number.
constexpr uint32_t kRegistersMost = 32768;
// Every round spills, and what is spilled needs no register of its own: 3 are many.
constexpr int kRoundsMost = 50;
constexpr uint32_t kNoColour = UINT32_MAX;
constexpr int kCoalescingRounds = 4;
// Registers lost by calls first: the others are few, and needed across calls. r0 last of
// them, for it is where the next result comes.
constexpr uint32_t kColourOrder[] = {1, 2, 3, 4, 5, 0, 6, 7, 8, 9};

class Graph {
 public:
  explicit Graph(uint32_t nodes)
      : matrix_(static_cast<size_t>(nodes) * (nodes + 1) / 2), neighbours_(nodes), degree_(nodes), alias_(nodes) {
    for (uint32_t i = 0; i < nodes; i++) alias_[i] = i;
  }

  static bool is_physical(uint32_t node) { return node < kFirstVirtual; }

  void add_edge(uint32_t a, uint32_t b) {
    if (a == b || (is_physical(a) && is_physical(b)) || has_edge(a, b)) return;
    matrix_.set(place(a, b));
    neighbours_[a].push_back(b);
    neighbours_[b].push_back(a);
    degree_[a]++;
    degree_[b]++;
  }
  bool has_edge(uint32_t a, uint32_t b) const { return matrix_.test(place(a, b)); }

  // The node that stands for this one.
  uint32_t find(uint32_t node) {
    while (alias_[node] != node) node = alias_[node] = alias_[alias_[node]];
    return node;
  }
  uint32_t degree(uint32_t node) const { return degree_[node]; }

  template <typename Visit>
  void for_each_neighbour(uint32_t node, Visit visit) const {
    for (uint32_t each : neighbours_[node])
      if (alias_[each] == each) visit(each);
  }

  // Whether two nodes may become one, and the graph be as easy to colour as it was.
  // REQUIRES: they stand for themselves and have no edge
  bool can_merge(uint32_t into, uint32_t from) const {
    if (is_physical(into)) {
      bool harmless = true;
      for_each_neighbour(from, [&](uint32_t each) {
        harmless = harmless && (is_physical(each) || degree_[each] < kAllocatable || has_edge(each, into));
      });
      return harmless;
    }
    uint32_t significant = 0;
    auto count = [&](uint32_t each, bool of_both) {
      if (is_physical(each) || degree_[each] - (of_both ? 1 : 0) >= kAllocatable) significant++;
    };
    for_each_neighbour(into, [&](uint32_t each) { count(each, has_edge(each, from)); });
    for_each_neighbour(from, [&](uint32_t each) {
      if (!has_edge(each, into)) count(each, false);
    });
    return significant < kAllocatable;
  }

  void merge(uint32_t into, uint32_t from) {
    alias_[from] = into;
    for (size_t i = 0; i < neighbours_[from].size(); i++) {
      uint32_t each = neighbours_[from][i];
      if (alias_[each] != each) continue;
      degree_[each]--;
      add_edge(each, into);
    }
  }

 private:
  static size_t place(uint32_t a, uint32_t b) {
    if (a < b) std::swap(a, b);
    return static_cast<size_t>(a) * (a + 1) / 2 + b;
  }

  BitSet matrix_;
  std::vector<std::vector<uint32_t>> neighbours_;
  std::vector<uint32_t> degree_;
  std::vector<uint32_t> alias_;
};

class Allocation {
 public:
  explicit Allocation(MachineCode &code) : code_(code) {}

  Result<void> run() {
    for (int round = 0; round < kRoundsMost; round++) {
      if (code_.registers > kRegistersMost) return too_large();
      Graph graph(code_.registers);
      build(graph);
      coalesce(graph);
      std::vector<uint32_t> colour = paint(graph);
      if (spilled_.empty()) {
        replace(graph, colour);
        return {};
      }
      TRY(spill(graph));
    }
    return too_large();
  }

 private:
  struct Move {
    uint32_t to, from;
  };

  tl::unexpected<Error> too_large() const {
    return fail(ErrorCode::kExhausted, fmt::format("'{}' is too large to compile", code_.name),
                fmt::format("it has more than {} values to keep", kRegistersMost), "split it");
  }

  void build(Graph &graph) {
    moves_.clear();
    cost_.assign(code_.registers, 0);
    is_temporary_.resize(code_.registers);
    auto visit = [](const Machine &each, auto define, auto use) { visit_registers(each, define, use); };
    std::vector<Block> blocks = blocks_of(code_.body, code_.labels);
    const Liveness liveness(code_.body, blocks, code_.registers, visit);
    BitSet live(code_.registers);
    const std::vector<float> weight = weights();
    for (size_t i = 0; i < blocks.size(); i++) {
      liveness.after(i, live);
      for (uint32_t at = blocks[i].end; at-- > blocks[i].begin;) {
        const Machine &each = code_.body[at];
        bool is_move = each.is_move() && each.src != kFrame;
        if (is_move) moves_.push_back({each.dst, each.src});
        visit_registers(
            each,
            [&](uint32_t defined) {
              cost_[defined] += weight[at];
              live.for_each([&](uint32_t other) {
                // Both ends of a move have one value: they may share a register.
                if (!is_move || other != each.src) graph.add_edge(defined, other);
              });
            },
            [](uint32_t) {});
        visit_registers(
            each, [&](uint32_t defined) { live.reset(defined); }, [](uint32_t) {});
        visit_registers(
            each, [](uint32_t) {},
            [&](uint32_t used) {
              cost_[used] += weight[at];
              live.set(used);
            });
      }
    }
  }

  // How much an access costs at each instruction: ten times as much in a loop.
  std::vector<float> weights() const {
    std::vector<uint32_t> label_at(code_.labels);
    for (uint32_t at = 0; at < code_.body.size(); at++)
      if (code_.body[at].is_label()) label_at[code_.body[at].target] = at;
    std::vector<int> deeper(code_.body.size() + 1);
    for (uint32_t at = 0; at < code_.body.size(); at++)
      if (code_.body[at].is_jump() && label_at[code_.body[at].target] <= at) {
        deeper[label_at[code_.body[at].target]]++;
        deeper[at + 1]--;
      }
    std::vector<float> weight(code_.body.size());
    int depth = 0;
    for (size_t at = 0; at < weight.size(); at++) {
      depth += deeper[at];
      weight[at] = depth == 0 ? 1.0F : depth == 1 ? 10.0F : depth == 2 ? 100.0F : 1000.0F;
    }
    return weight;
  }

  void coalesce(Graph &graph) {
    std::reverse(moves_.begin(), moves_.end());
    bool changed = true;
    for (int round = 0; round < kCoalescingRounds && changed; round++) {
      changed = false;
      for (const Move &each : moves_) {
        uint32_t into = graph.find(each.to), from = graph.find(each.from);
        if (Graph::is_physical(from)) std::swap(into, from);
        if (into == from || Graph::is_physical(from) || graph.has_edge(into, from)) continue;
        // What is on the stack but for an instruction must not grow to be long-lived again.
        if (is_temporary_[from] || is_temporary_[into]) continue;
        if (!graph.can_merge(into, from)) continue;
        graph.merge(into, from);
        cost_[into] += cost_[from];
        changed = true;
      }
    }
  }

  // The colours of the nodes that stand for themselves; fills spilled_.
  std::vector<uint32_t> paint(Graph &graph) {
    std::vector<uint32_t> order = simplify(graph);
    std::vector<std::vector<uint32_t>> partners(code_.registers);
    for (const Move &each : moves_) {
      uint32_t to = graph.find(each.to), from = graph.find(each.from);
      if (to == from) continue;
      partners[to].push_back(from);
      partners[from].push_back(to);
    }
    std::vector<uint32_t> colour(code_.registers, kNoColour);
    for (uint32_t i = 0; i < kAllocatable; i++) colour[i] = i;
    spilled_.clear();
    for (size_t i = order.size(); i-- > 0;) {
      uint32_t node = order[i], taken = 0;
      graph.for_each_neighbour(node, [&](uint32_t each) {
        if (colour[each] != kNoColour) taken |= 1u << colour[each];
      });
      auto take = [&](uint32_t wanted) {
        if (colour[node] == kNoColour && wanted != kNoColour && (taken >> wanted & 1) == 0) colour[node] = wanted;
      };
      for (uint32_t partner : partners[node]) take(colour[partner]);
      for (uint32_t each : kColourOrder) take(each);
      if (colour[node] == kNoColour) spilled_.push_back(node);
    }
    return colour;
  }

  // Nodes in the order in which they are taken out of the graph: those that can surely be
  // coloured after all others first, and between them the cheapest to have on the stack.
  std::vector<uint32_t> simplify(Graph &graph) {
    std::vector<uint32_t> degree(code_.registers), order, easy, hard;
    std::vector<bool> gone(code_.registers);
    for (uint32_t node = kFirstVirtual; node < code_.registers; node++) {
      if (graph.find(node) != node) continue;
      degree[node] = graph.degree(node);
      (degree[node] < kAllocatable ? easy : hard).push_back(node);
    }
    auto remove = [&](uint32_t node) {
      gone[node] = true;
      order.push_back(node);
      graph.for_each_neighbour(node, [&](uint32_t each) {
        if (Graph::is_physical(each) || gone[each]) return;
        if (degree[each]-- == kAllocatable) easy.push_back(each);
      });
    };
    for (;;) {
      while (!easy.empty()) {
        uint32_t node = easy.back();
        easy.pop_back();
        if (!gone[node]) remove(node);
      }
      std::erase_if(hard, [&](uint32_t node) { return gone[node]; });
      if (hard.empty()) return order;
      auto price = [&](uint32_t node) {
        if (is_temporary_[node]) return std::numeric_limits<float>::infinity();
        return cost_[node] / static_cast<float>(degree[node] + 1);
      };
      remove(*std::min_element(hard.begin(), hard.end(), [&](uint32_t a, uint32_t b) { return price(a) < price(b); }));
    }
  }

  void replace(Graph &graph, const std::vector<uint32_t> &colour) {
    auto physical = [&](uint32_t node) {
      if (node < kFirstVirtual) return node;
      uint32_t found = colour[graph.find(node)];
      CHECK(found != kNoColour);
      return found;
    };
    for (Machine &each : code_.body) {
      if (each.writes_dst() || each.reads_dst()) each.dst = physical(each.dst);
      if (each.reads_src()) each.src = physical(each.src);
    }
    std::erase_if(code_.body, [](const Machine &each) { return each.is_move() && each.dst == each.src; });
  }

  // Puts the spilled nodes on the stack, or computes them anew where that is one instruction.
  Result<void> spill(Graph &graph) {
    find_constants(graph);
    std::vector<int16_t> offset(code_.registers);  // of the node's place; 0: it has none
    uint32_t stack_bytes = code_.stack_bytes;
    for (size_t i = 0; i < spilled_.size(); i++) {
      uint32_t node = spilled_[i];
      if (is_temporary_[node]) return too_large();
      if (constant_[node] != nullptr) continue;
      // Neighbours are needed at the same time; others may have the same place.
      uint32_t bytes = code_.stack_bytes + 8;
      auto is_taken = [&] {
        return std::any_of(spilled_.begin(), spilled_.begin() + static_cast<ptrdiff_t>(i), [&](uint32_t other) {
          return offset[other] == -static_cast<int>(bytes) && graph.has_edge(node, other);
        });
      };
      while (is_taken()) bytes += 8;
      stack_bytes = std::max(stack_bytes, bytes);
      if (stack_bytes > kStackBytesMost) return stack_exhausted(code_.name, stack_bytes);
      offset[node] = static_cast<int16_t>(-static_cast<int>(bytes));
    }
    rewrite(graph, offset);
    code_.stack_bytes = stack_bytes;
    return {};
  }

  // Spilled nodes that only one instruction sets, to what is known before the program runs.
  void find_constants(Graph &graph) {
    constants_.clear();
    constants_.reserve(spilled_.size());
    constant_.assign(code_.registers, nullptr);
    std::vector<uint32_t> times(code_.registers);
    for (const Machine &each : code_.body)
      if (each.writes_dst()) times[graph.find(each.dst)]++;
    std::vector<bool> is_spilled(code_.registers);
    for (uint32_t node : spilled_) is_spilled[node] = true;
    for (const Machine &each : code_.body) {
      if (!each.is_constant()) continue;
      uint32_t node = graph.find(each.dst);
      if (!is_spilled[node] || times[node] != 1) continue;
      constants_.push_back(each);
      constant_[node] = &constants_.back();
    }
  }

  void rewrite(Graph &graph, const std::vector<int16_t> &offset) {
    std::vector<Machine> body;
    body.reserve(code_.body.size() * 2);
    auto is_spilled = [&](uint32_t node) { return offset[node] != 0 || constant_[node] != nullptr; };
    auto fetch = [&](uint32_t to, uint32_t node, Position position) {
      Machine made;
      if (constant_[node] != nullptr) {
        made = *constant_[node];
      } else {
        made.code = BPF_LDX | BPF_MEM | BPF_DW;
        made.src = kFrame;
        made.off = offset[node];
      }
      made.dst = to;
      made.position = position;
      body.push_back(made);
    };
    for (Machine each : code_.body) {
      bool has_dst = (each.writes_dst() || each.reads_dst()) && each.dst != kFrame;
      bool has_src = each.reads_src() && each.src != kFrame;
      uint32_t dst = has_dst ? graph.find(each.dst) : kFrame, src = has_src ? graph.find(each.src) : kFrame;
      bool spills_dst = has_dst && is_spilled(dst), spills_src = has_src && is_spilled(src);
      if (!spills_dst && !spills_src) {
        body.push_back(each);
        continue;
      }
      if (spills_dst && each.writes_dst() && constant_[dst] != nullptr) continue;
      if (each.is_move() && has_src && (dst == src || (spills_dst && spills_src && offset[dst] == offset[src])))
        continue;
      if (each.is_move() && !spills_dst) {
        fetch(each.dst, src, each.position);
        continue;
      }
      Machine store;
      store.code = BPF_STX | BPF_MEM | BPF_DW;
      store.dst = kFrame;
      store.off = offset[dst];
      store.position = each.position;
      if (each.is_move() && !spills_src) {
        store.src = each.src;
        body.push_back(store);
        continue;
      }
      if (each.code == (BPF_ALU64 | BPF_MOV | BPF_K)) {
        store.code = BPF_ST | BPF_MEM | BPF_DW;
        store.imm = each.imm;
        body.push_back(store);
        continue;
      }
      if (spills_src) {
        uint32_t held = temporary();
        fetch(held, src, each.position);
        each.src = held;
      }
      if (spills_dst) {
        uint32_t held = spills_src && src == dst && each.reads_dst() ? each.src : temporary();
        if (each.reads_dst() && held != each.src) fetch(held, dst, each.position);
        each.dst = held;
      }
      body.push_back(each);
      if (spills_dst && each.writes_dst()) {
        store.src = each.dst;
        body.push_back(store);
      }
    }
    code_.body = std::move(body);
  }

  uint32_t temporary() {
    is_temporary_.resize(code_.registers + 1);
    is_temporary_[code_.registers] = true;
    return code_.registers++;
  }

  MachineCode &code_;
  std::vector<Move> moves_;
  std::vector<float> cost_;  // of a node on the stack
  std::vector<bool> is_temporary_;
  std::vector<uint32_t> spilled_;
  std::vector<Machine> constants_;
  std::vector<const Machine *> constant_;
};

}  // namespace

Result<void> allocate(MachineCode &code) {
  return Allocation(code).run();
}

}  // namespace waggle::codegen
