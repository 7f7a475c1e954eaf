// The body of sha1_lanes.cc for one instruction set. Included once for each, inside a namespace that defines V (a
// register of kLanes words), VEXOR_LANES (the target) and the operations on V. No include guard.

// Steps of the message expansion, and the conditions that can be tested after the last of them.
template <int Step>
VEXOR_LANES void expand_step(V* w) {
  w[Step] = rotl<1>(xor2(xor3(w[Step - 3], w[Step - 8], w[Step - 14]), w[Step - 16]));
}

template <std::size_t Index>
VEXOR_LANES void condition(const V* w, V& vectors) {
  constexpr Sha1Condition kIt = kSha1Conditions[Index];
  const V x = xor2(w[kIt.step], rotl<kIt.turn>(w[kIt.turned_step]));
  vectors = keep_where<kIt.bits, kIt.want>(x, vectors, ~kIt.vectors);
}

template <int First, int... Step>
VEXOR_LANES void expand(std::integer_sequence<int, Step...>, V* w) {
  (expand_step<First + Step>(w), ...);
}

template <std::size_t First, std::size_t... Index>
VEXOR_LANES void conditions(std::index_sequence<Index...>, [[maybe_unused]] const V* w, V& vectors) {
  (condition<First + Index>(w, vectors), ...);
}

// The whole of check in slices of like length: the first loads, each further one expands kSliceSteps words.
template <int Slice>
VEXOR_LANES void check_slice(const char* blocks, std::size_t count, V* w, V& vectors) {
  if constexpr (Slice == 0) {
    load_blocks(blocks, count, w);
    vectors = all(~0U);
  } else if constexpr (Slice < kSlices) {
    constexpr int kFrom = 16 + (Slice - 1) * kSliceSteps;
    constexpr int kTo = kFrom + kSliceSteps < kSha1ConditionSteps ? kFrom + kSliceSteps : kSha1ConditionSteps;
    expand<kFrom>(std::make_integer_sequence<int, kTo - kFrom>(), w);
    constexpr std::size_t kFirst = conditions_before(kFrom), kLast = conditions_before(kTo);
    conditions<kFirst>(std::make_index_sequence<kLast - kFirst>(), w, vectors);
  }
}

template <int... Slice>
VEXOR_LANES void check_slices(std::integer_sequence<int, Slice...>, const char* blocks, std::size_t count, V* w, V& vectors) {
  (check_slice<Slice>(blocks, count, w, vectors), ...);
}

VEXOR_LANES_OUTER void check(const char* blocks, std::size_t count, std::uint32_t* out) {
  V w[kSha1ConditionSteps], vectors;
  check_slices(std::make_integer_sequence<int, kSlices>(), blocks, count, w, vectors);
  std::uint32_t lanes[kLanes];
  store(lanes, vectors);
  std::copy_n(lanes, count, out);
}

#if defined(VEXOR_LANES_SHA)
template <int From, int... Slice>
VEXOR_LANES void check_next_slices(std::integer_sequence<int, Slice...>, const char* blocks, std::size_t count, V* w, V& vectors) {
  (check_slice<From + Slice>(blocks, count, w, vectors), ...);
}

// After each block some slices, as many as are done when FullAfter blocks are.
template <int FullAfter, int... Block>
VEXOR_LANES_SHA void compress_and_check_blocks(std::integer_sequence<int, Block...>, Sha1State& state, const char* blocks,
                                               std::size_t count, Sha1Trace* traces, Sha1State* after, std::uint32_t* out) {
  constexpr int kEach = (kSlices + FullAfter - 1) / FullAfter;
  constexpr bool kAll = FullAfter == static_cast<int>(kLanes);
  V w[kSha1ConditionSteps], vectors;
  sha_ni::State now = sha_ni::load(state);
  ((kAll || static_cast<std::size_t>(Block) < count ? sha_ni::compress(now, blocks + kSha1BlockBytes * Block, traces[Block], after[Block]) : void(),
    check_next_slices<Block * kEach>(std::make_integer_sequence<int, kEach>(), blocks, count, w, vectors)),
   ...);
  for (std::size_t block = FullAfter; block < count; ++block) sha_ni::compress(now, blocks + kSha1BlockBytes * block, traces[block], after[block]);
  sha_ni::store(state, now);
  std::uint32_t lanes[kLanes];
  store(lanes, vectors);
  std::copy_n(lanes, count, out);
}

VEXOR_LANES_SHA void compress_and_check(Sha1State& state, const char* blocks, std::size_t count, Sha1Trace* traces,
                                        Sha1State* after, std::uint32_t* out) {
  constexpr int kLanesInt = static_cast<int>(kLanes), kFew = 3;
  if (count == kLanes)
    compress_and_check_blocks<kLanesInt>(std::make_integer_sequence<int, kLanesInt>(), state, blocks, count, traces, after, out);
  else
    compress_and_check_blocks<kFew>(std::make_integer_sequence<int, kFew>(), state, blocks, count, traces, after, out);
}
#endif

struct State {
  V a, b, c, d, e;
};

template <int Quarter>
VEXOR_LANES V mix(V b, V c, V d) {
  if constexpr (Quarter == 0) return choose(b, c, d);
  if constexpr (Quarter == 2) return majority(b, c, d);
  return xor3(b, c, d);
}

template <int Quarter>
VEXOR_LANES void forward(State& s, const V* w, int from) {
  const V constant = all(kSha1Round[Quarter]);
  for (int t = std::max(from, 20 * Quarter); t < 20 * Quarter + 20; ++t) {
    const V sum = add(add(s.e, add(w[t], constant)), mix<Quarter>(s.b, s.c, s.d));
    s = {add(sum, rotl<5>(s.a)), s.a, rotl<30>(s.b), s.c, s.d};
  }
}

template <int Quarter>
VEXOR_LANES void backward(State& s, const V* w, int from) {
  const V constant = all(kSha1Round[Quarter]);
  for (int t = std::min(from, 20 * Quarter + 20) - 1; t >= 20 * Quarter; --t) {
    const V b = rotl<2>(s.c), known = add(add(w[t], constant), rotl<5>(s.b));
    s = {s.b, b, s.d, s.e, subtract(subtract(s.a, known), mix<Quarter>(b, s.d, s.e))};
  }
}

VEXOR_LANES State load_state(const std::uint32_t (&words)[5][kLanes]) {
  return {load(words[0]), load(words[1]), load(words[2]), load(words[3]), load(words[4])};
}

VEXOR_LANES_OUTER bool confirm(const Sha1Suspect* suspects, std::size_t count) {
  std::uint32_t others[16][kLanes], middle[5][kLanes], after[5][kLanes];
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const Sha1Suspect& suspect = suspects[std::min(lane, count - 1)];
    for (std::size_t i = 0; i < 16; ++i)
      others[i][lane] = sha1_load(suspect.block + 4 * i) ^ kSha1Differences[suspect.vector].message[i];
    for (std::size_t i = 0; i < 5; ++i) middle[i][lane] = suspect.middle[i], after[i][lane] = suspect.after[i];
  }
  V w[80];  // of the other message
  for (int i = 0; i < 16; ++i) w[i] = load(others[i]);
  expand<16>(std::make_integer_sequence<int, 64>(), w);
  const int from = kSha1Middles[sha1_middle(suspects[0].vector)];
  State start = load_state(middle), end = start;
  backward<3>(start, w, from);
  backward<2>(start, w, from);
  backward<1>(start, w, from);
  backward<0>(start, w, from);
  forward<2>(end, w, from);
  forward<3>(end, w, from);
  const State known = load_state(after);
  V differ = xor2(add(start.a, end.a), known.a);
  differ = or3(differ, xor2(add(start.b, end.b), known.b), xor2(add(start.c, end.c), known.c));
  differ = or3(differ, xor2(add(start.d, end.d), known.d), xor2(add(start.e, end.e), known.e));
  std::uint32_t lanes[kLanes];
  store(lanes, differ);
  return std::find(lanes, lanes + count, 0U) != lanes + count;
}

constexpr Sha1Lanes kTable = {kLanes, check, nullptr, confirm};
#if defined(VEXOR_LANES_SHA)
constexpr Sha1Lanes kTableSha = {kLanes, check, compress_and_check, confirm};
#endif
