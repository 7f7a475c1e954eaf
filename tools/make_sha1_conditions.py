#!/usr/bin/env python3
"""Writes libvexorstore/src/crypto/sha1_conditions.h. Usage: make_sha1_conditions.py > sha1_conditions.h

VECTORS are the disturbance vectors that are looked for and their unavoidable bit conditions (Stevens
and Shumow, "Speeding up detection of SHA-1 collision attacks using unavoidable attack conditions",
USENIX Security 2017; docs/adr/0003 says how the table was obtained and checked): the bits STEP.BIT of
the expanded message in one group are all equal, those marked ! are the opposite. A group of n bits is
n-1 independent conditions, and any tree over its bits states them; the trees are chosen here so that
vectors share what they can."""
import collections, itertools, random

VECTORS = """
I(43,0): 37.4 39.4! 40.29 41.4 42.29! 43.4! 44.29 46.29! 47.29! | 58.0 59.5! 63.30! | 61.1 62.6!
I(44,0): 38.4 40.4! 40.29 41.29 42.4 43.29! 44.4! 45.29 47.29! 48.29! | 59.0 60.5! 64.30! | 62.1 63.6!
I(45,0): 35.4 39.29 | 39.4 41.4! 41.29 42.29 43.4 44.29! 45.4! 46.29 48.29! 49.29! | 60.0 61.5! | 63.1 64.6!
I(46,0): 36.4 40.29 | 40.4 42.4! 42.29 43.29 44.4 45.29! 46.4! 47.29 49.29! 50.29! | 61.0 62.5!
I(46,2): 35.1 36.6! | 39.1 40.6! 42.6! 44.6! 46.6! 47.1! | 61.2 62.7!
I(47,0): 37.4 40.29 41.29 | 41.4 43.4! 43.29 44.29 45.4 46.29! 47.4! 48.29 50.29! 51.29! | 62.0 63.5!
I(47,2): 36.1 37.6! | 40.1 41.6! 43.6! 45.6! 47.6! 48.1! | 62.2 63.7!
I(48,0): 35.4 39.29 | 38.4 40.29 41.29 42.29 | 42.4 44.4! 44.29 45.29 46.4 47.29! 48.4! 49.29 51.29! 52.29! | 63.0 64.5!
I(48,2): 37.1 38.6! | 41.1 42.6! 44.6! 46.6! 48.6! 49.1! | 63.2 64.7!
I(49,0): 36.4 40.29 | 39.4 41.29 42.29 43.29 | 43.4 45.4! 45.29 46.29 47.4 48.29! 49.4! 50.29 52.29! 53.29!
I(49,2): 35.1 36.6! | 38.1 39.6! 40.1! | 42.1 43.6! 45.6! 47.6! 49.6! 50.1!
I(50,0): 36.4 37.4! 41.29! | 40.4 42.29 43.29 44.29 | 44.4 46.4! 46.29 47.29 48.4 49.29! 50.4! 51.29 53.29! 54.29!
I(50,2): 36.1 37.6! | 39.1 40.6! 41.1! | 43.1 44.6! 46.6! 48.6! 50.6! 51.1!
I(51,0): 35.3 39.28 | 37.4 38.4! 42.29! | 41.4 43.29 44.29 45.29 | 45.4 47.4! 47.29 48.29 49.4 50.29! 51.4! 52.29 54.29! 55.29!
I(51,2): 35.5 39.30 | 37.1 37.6 38.6! | 40.1 41.6! 42.1! | 44.1 45.6! 47.6! 49.6! 51.6! 52.1!
I(52,0): 38.4 39.4! 43.29! | 42.4 44.29 45.29 46.29 | 46.4 48.4! 48.29 49.29 50.4 51.29! 52.4! 53.29 55.29! 56.29!
II(45,0): 36.4 40.29 | 41.4 43.29 44.29 45.29 | 47.4 49.4! 49.29 50.29 52.29! 53.29! | 60.0 61.5! | 63.1 64.6!
II(46,0): 37.4 40.29 41.29 | 42.4 44.29 45.29 46.29 | 48.4 50.4! 50.29 51.29 53.29! 54.29! | 61.0 62.5!
II(46,2): 36.1 37.6! | 41.1 42.6! 43.1! | 47.1 48.6! 50.6! 51.1! | 61.2 62.7!
II(47,0): 35.3 39.28 | 35.4 39.29 | 38.4 40.29 41.29 42.29 | 43.4 45.29 46.29 47.29 | 49.4 51.4! 51.29 52.29 54.29! 55.29! | 62.0 63.5!
II(48,0): 35.30 36.3! 40.28! | 36.4 40.29 | 39.4 41.29 42.29 43.29 | 44.4 46.29 47.29 48.29 | 50.4 52.4! 52.29 53.29 55.29! 56.29! | 63.0 64.5!
II(49,0): 36.30 37.3! 41.28! | 37.4 41.29 | 40.4 42.29 43.29 44.29 | 45.4 47.29 48.29 49.29 | 51.4 53.4! 53.29 54.29 56.29! 57.29!
II(49,2): 36.0 37.5! 41.30! | 39.1 40.6! 41.1! | 44.1 45.6! 46.1! | 50.1 51.6! 53.6! 54.1!
II(50,0): 37.30 38.3! 42.28! | 38.4 42.29 | 41.4 43.29 44.29 45.29 | 46.4 48.29 49.29 50.29 | 52.4 54.4! 54.29 55.29 57.29! 58.29!
II(50,2): 37.0 38.5! 42.30! | 40.1 41.6! 42.1! | 45.1 46.6! 47.1! | 51.1 52.6! 54.6! 55.1!
II(51,0): 38.30 39.3! 43.28! | 39.4 43.29 | 42.4 44.29 45.29 46.29 | 47.4 49.29 50.29 51.29 | 53.4 55.4! 55.29 56.29 58.29! 59.29!
II(51,2): 38.0 39.5! 43.30! | 41.1 42.6! 43.1! | 46.1 47.6! 48.1! | 52.1 53.6! 55.6! 56.1!
II(52,0): 36.4 38.4! | 39.30 40.3! 44.28! | 40.4 44.29 | 43.4 45.29 46.29 47.29 | 48.4 50.29 51.29 52.29 | 54.4 56.4! 56.29 57.29 59.29! 60.29!
II(53,0): 37.4 39.4! 40.29 | 41.3 45.28 | 41.4 45.29 | 44.4 46.29 47.29 48.29 | 49.4 51.29 52.29 53.29 | 55.4 57.4! 57.29 58.29 61.29!
II(54,0): 36.4 38.4! 40.4 41.29! | 42.3 46.28 | 42.4 46.29 | 45.4 47.29 48.29 49.29 | 50.4 52.29 53.29 54.29 | 56.4 58.29 59.29 | 58.4 62.29
II(55,0): 37.4 39.4! 40.29 41.4 42.29! | 43.3 47.28 | 43.4 47.29 | 46.4 48.29 49.29 50.29 | 51.4 53.29 54.29 55.29 | 57.4 59.29 | 59.4 63.29
II(56,0): 38.4 40.4! 40.29 41.29 42.4 43.29! | 44.3 48.28 | 44.4 48.29 | 47.4 49.29 50.29 51.29 | 52.4 54.29 55.29 56.29 | 60.4 64.29
"""


def parse():
    for line in VECTORS.strip().splitlines():
        name, groups = line.split(": ")
        yield name, [[(int(w.rstrip("!").split(".")[0]), int(w.rstrip("!").split(".")[1]), w.endswith("!"))
                      for w in group.split()] for group in groups.split(" | ")]


def row(one, two):
    """A condition between two bits: the word with the higher bit is rotated so that the bits meet."""
    keep, turn = sorted((one, two), key=lambda bit: (bit[1], bit[0]))
    return keep[0], turn[0], (keep[1] - turn[1]) % 32, keep[1], keep[2] ^ turn[2]


def tree(groups, rank):
    """The edges of best rank that connect each group (Kruskal)."""
    for group in groups:
        root = {bit: bit for bit in group}

        def find(bit):
            while root[bit] != bit:
                bit = root[bit]
            return bit

        for one, two in sorted(itertools.combinations(group, 2), key=lambda edge: rank[row(*edge)]):
            if find(one) != find(two):
                root[find(one)] = find(two)
                yield row(one, two)


def choose(vectors, seed):
    order, shared = random.Random(seed), collections.Counter()
    for _, groups in vectors:
        shared.update(row(*edge) for group in groups for edge in itertools.combinations(group, 2))
    rank = {edge: (-count, edge[2] != 0, order.random()) for edge, count in sorted(shared.items())}
    masks = collections.Counter()
    for index, (_, groups) in enumerate(vectors):
        for edge in tree(groups, rank):
            masks[edge] += 1 << index
    rows = collections.defaultdict(lambda: [0, 0])  # same words, same vectors: tested at once
    for (keep, turn, by, bit, odd), mask in masks.items():
        cell = rows[keep, turn, by, mask]
        cell[0] |= 1 << bit
        cell[1] |= odd << bit
    cost = 2 * len(rows) + len({key[:3] for key in rows}) + len({key[1:3] for key in rows if key[2]})
    return cost, rows


vectors = list(parse())
cost, rows = min((choose(vectors, seed) for seed in range(300)), key=lambda choice: choice[0])
print("""// Generated by tools/make_sha1_conditions.py: the disturbance vectors of SHA-1 that are looked for, and
// the conditions on the expanded message that every attack along them meets. Change the tool, not this file.
#pragma once

#include <cstdint>

namespace vexor {

// Type I: the words K to K+14 are zero, K+15 is bit B. Type II: K+1 and K+3 are bit B-1, K+15 is bit B, the
// other words of K to K+15 are zero.
struct DisturbanceVector {
  int type;
  int k;
  unsigned b;
};
""")
print(f"inline constexpr DisturbanceVector kDisturbanceVectors[{len(vectors)}] = {{")
for four in range(0, len(vectors), 8):
    cells = [name.replace("(", ",").rstrip(")").split(",") for name, _ in vectors[four:four + 8]]
    print("    " + " ".join(f"{{{len(t)}, {k}, {b}}}," for t, k, b in cells))
print("};\n")
print("""// Met when (W[step] ^ rotl(W[turned_step], turn)) & bits == want. Not met: no attack along any of `vectors`
// (bit i: kDisturbanceVectors[i]).
struct Sha1Condition {
  std::uint8_t step;
  std::uint8_t turned_step;
  std::uint8_t turn;
  std::uint32_t bits;
  std::uint32_t want;
  std::uint32_t vectors;
};
""")
ordered = sorted(rows.items(), key=lambda item: (max(item[0][:2]), item))
print(f"inline constexpr Sha1Condition kSha1Conditions[{len(ordered)}] = {{")
cells = [f"{{{keep}, {turn}, {by}, {bits:#x}, {want:#x}, {mask:#x}}}," for (keep, turn, by, mask), (bits, want) in ordered]
for start in range(0, len(cells), 3):
    print("    " + " ".join(cells[start:start + 3]))
print("""};
""")
steps = max(max(key[:2]) for key in rows) + 1
print(f"inline constexpr int kSha1ConditionSteps = {steps};  // words of the expanded message that conditions look at")
print("""
}  // namespace vexor""")
import sys
print("cost", cost, "rows", len(rows), file=sys.stderr)
