#!/usr/bin/env python3
"""Real faults of real processes, networks and disks, one after the other, under pushes and reads. Usage: faults_test.py BINARIES
Each kind of fault once (about 90 s). At the end every acknowledged push is on every member, and while clients could be served they were.
VEXOR_FAULTS_SECONDS: so long instead, with faults drawn at random; VEXOR_FAULTS_SEED: which. VEXOR_FAULTS_KINDS: of these kinds only.
As root on Linux; faults that the machine does not permit are left out, and named."""
import os, random, sys, time, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import wait_until
from fault_set import DELAY_MS, STUCK_SECONDS, FaultSet
from memory import Memory

BINARIES = sys.argv.pop(1)
SECONDS = float(os.environ.get("VEXOR_FAULTS_SECONDS", "0"))
SEED = int(os.environ.get("VEXOR_FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
KINDS = [kind for kind in os.environ.get("VEXOR_FAULTS_KINDS", "").split(",") if kind]
# Nobody can commit while all are without power.
STOPS_ALL = {"power-of-all"}
# How long each lasts in the short form, seconds.
SHORT = {"kill": 1.5, "freeze": 2.5, "etcd": 1.5, "cut": 3.0, "cut-from-peers": 3.0, "deafen": 3.5, "mute": 3.0, "cut-pair": 3.0, "slow": 2.0, "full-disk": 4.0, "broken-disk": 2.0,
         "power": 1.0, "power-of-all": 0.5}
MEMORY_GROWTH_MAX = 1.25  # of the median of the last quarter to that of the first, for what is called flat


class FaultsTest(unittest.TestCase):
    def setUp(self):
        self.set = FaultSet(BINARIES, large_pause=20 if SECONDS else 1)
        self.addCleanup(self.set.remove)
        for kind, why in self.set.left_out.items():
            print(f"left out, faults of the {kind}: {why}", flush=True)
        self.set.start()
        print(f"the off-site member is {DELAY_MS} ms away; {self.set.pushers} clients push" if self.set.delay_ms else "", flush=True)

    def kinds(self):
        return {kind: how for kind, how in self.set.kinds().items() if not KINDS or kind in KINDS}

    def fault(self, kind, node, seconds):
        """Returns the longest time without an acknowledged push around it. What the members logged is printed if that goes wrong."""
        try:
            return self.go_through(kind, node, seconds)
        except AssertionError:
            print(self.set.cluster.tails(), flush=True)
            raise

    def go_through(self, kind, node, seconds):
        began = time.monotonic()
        mend = self.set.kinds()[kind](node)
        time.sleep(seconds)
        mended = time.monotonic()
        mend()
        total = self.set.history.total()
        wait_until(lambda: self.set.history.total() > total, STUCK_SECONDS, f"a push is acknowledged after {kind} at member {node.number}")
        until = time.monotonic()
        pause = self.set.history.longest_pause(mended if kind in STOPS_ALL else began, until)
        print(f"{kind} at member {node.number} for {seconds:.1f} s: {pause:.1f} s without an acknowledged push; {self.set.history.total()} so far, {self.set.history.failures} failed requests", flush=True)
        self.assertLess(pause, STUCK_SECONDS, kind)
        self.assertEqual(self.set.history.faults, [])
        return pause

    def finish(self):
        wrong = self.set.check()
        history = self.set.history
        print(f"{history.total()} pushes acknowledged, {history.reads} reads, {history.failures} failed requests; wrong: {wrong or 'nothing'}", flush=True)
        self.assertEqual(wrong, [])

    @unittest.skipIf(SECONDS, "VEXOR_FAULTS_SECONDS is set")
    def test_each_fault_once_at_the_primary(self):
        for kind in self.kinds():
            self.set.whole()
            self.fault(kind, self.set.cluster.leader(), SHORT[kind])
        self.finish()

    @unittest.skipUnless(SECONDS, "VEXOR_FAULTS_SECONDS is not set")
    def test_faults_at_random(self):
        print(f"VEXOR_FAULTS_SEED={SEED}", flush=True)
        drawn, memory, longest, counts = random.Random(SEED), Memory(self.set.cluster), 0.0, {}
        self.addCleanup(memory.stop)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            if drawn.random() < 0.8:  # else the next one comes before all is mended
                self.set.whole(120)
            kind = drawn.choice(sorted(self.kinds()))
            number = drawn.choice([0, 1, 2, 3])
            node = self.set.cluster.nodes[number] if number else self.set.cluster.leader()
            longest = max(longest, self.fault(kind, node, drawn.uniform(0.2, 8)))
            counts[kind] = counts.get(kind, 0) + 1
            time.sleep(drawn.uniform(0, 4))
        memory.stop()
        print(f"VEXOR_FAULTS_SEED={SEED}: {counts}; longest time without an acknowledged push {longest:.1f} s")
        self.finish()
        for line, growth in memory.report():
            print(line)
            self.assertLess(growth, MEMORY_GROWTH_MAX, line)


if __name__ == "__main__":
    unittest.main(verbosity=2)
