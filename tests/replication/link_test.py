#!/usr/bin/env python3
"""The link to an off-site member 80 ms away, through a relay: what a push is told, and how long that takes. Usage: link_test.py BINARIES"""
import os, random, shutil, signal, subprocess, sys, tempfile, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import Cluster, wait_until
from load import RawClient, git
from relay import octets_off_site, start_relay

BINARIES = sys.argv.pop(1)
ROUND_TRIP_MS = 80


class LinkTest(unittest.TestCase):
    def start(self, timers, copies="two"):
        directory = tempfile.mkdtemp(prefix="vexor-link-")
        self.addCleanup(shutil.rmtree, directory, True)
        self.cluster = Cluster(BINARIES, directory, {"heartbeat_ms": 50, "lease_ms": 400, "detector_ms": 800, **timers})
        self.cluster.copies = copies
        self.relay = start_relay(self.cluster, ROUND_TRIP_MS / 2)
        self.addCleanup(self.relay.stdout.close)
        self.addCleanup(self.relay.wait)
        self.addCleanup(self.relay.kill)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.primary = self.cluster.primary()
        wait_until(lambda: self.far().get("round_trip_ms", 0) >= ROUND_TRIP_MS, 20, "the primary knows the round trip")
        self.cluster.add_demo()
        self.cluster.wait_for_all()
        self.work = os.path.join(directory, "work")
        git("init", "-q", "-b", "main", self.work)

    def far(self):
        """What the primary says of the off-site member."""
        return next(other for other in self.primary.status()["others"] if other["node"] == 3)

    def push(self, text):
        git("commit", "-q", "--allow-empty", "-m", text, cwd=self.work)
        return git("push", "--progress", self.primary.url("demo/r"), "HEAD:refs/heads/main", cwd=self.work).stderr

    def commit_files(self, seed, count, line):
        """Files of some 60 KB, and a push of them, which is a large one."""
        draw = random.Random(seed)
        for number in range(count):
            with open(os.path.join(self.work, f"file{seed}-{number}"), "w") as out:
                out.writelines(line(draw) for _ in range(2000))
        git("add", ".", cwd=self.work)
        git("commit", "-q", "-m", f"files {seed}", cwd=self.work)

    def stored_bytes(self):
        """What git makes of all that was pushed."""
        pack = subprocess.run(["git", "pack-objects", "--all", "--stdout", "-q"], stdin=subprocess.DEVNULL, cwd=self.work, capture_output=True, check=True).stdout
        return len(pack)

    def off_site(self):
        return octets_off_site(self.relay, self.cluster)

    def push_and_count(self, seed, count, line):
        """Octets that went off-site for a push, and those of its pack."""
        self.commit_files(seed, count, line)
        before, stored = self.off_site(), self.pushed
        self.push(f"push {seed}")
        self.cluster.wait_for_all(60)
        self.pushed = self.stored_bytes()
        return self.off_site() - before, self.pushed - stored

    def test_rows_go_to_another_site_in_the_form_for_the_link(self):
        words = [f"word{number}" for number in range(400)]
        text = lambda draw: " ".join(draw.choices(words, k=5)) + "\n"
        self.pushed = 0
        self.start({})
        sent, pushed = self.push_and_count(1, 40, text)
        self.assertLess(sent, pushed * 0.8)
        # A member that was away asks for them, and gets them so.
        self.cluster.nodes[3].stop(signal.SIGTERM)
        self.commit_files(2, 40, text)
        self.push("while it is away")
        before = self.off_site()
        self.cluster.nodes[3].start()
        self.cluster.wait_for_all(60)
        self.assertLess(self.off_site() - before, (self.stored_bytes() - self.pushed) * 0.8)
        for node in self.cluster.nodes.values():
            node.stop(signal.SIGTERM)
            node.ctl("fsck", "--all")

    def test_rows_go_as_they_are_if_they_are_to(self):
        self.pushed = 0
        self.start({"link_rows": 0})
        sent, pushed = self.push_and_count(1, 40, lambda draw: f"{draw.getrandbits(200):x}\n")
        self.assertGreater(sent, pushed)

    def test_rows_cross_a_slow_link_once(self):
        """The record comes long before they are there."""
        self.pushed = 0
        self.start({"site_bytes_per_second": 1 << 20})
        sent, pushed = self.push_and_count(1, 160, lambda draw: f"{draw.getrandbits(400):x}\n")
        self.assertGreater(pushed, 4 << 20)
        self.assertLess(sent, pushed * 1.2)

    def test_a_push_does_not_wait_for_the_far_copy_and_says_so(self):
        self.start({})
        self.assertRegex(self.push("one"), r"stored on 2 of 3 servers, off-site follows, sequence \d+")
        client = RawClient(self.cluster.https_ports, "far", self.primary.number)
        for _ in range(20):
            client.push()
        client.forget_connections()
        took = sorted(seconds for _, seconds, _ in client.times)
        self.assertLess(took[0], ROUND_TRIP_MS / 1000)
        self.cluster.wait_for_all()
        wait_until(lambda: self.far()["has"] == self.primary.status()["appended"], 10, "the primary knows that all is off-site")

    def test_a_push_waits_for_the_far_copy_if_it_is_to(self):
        self.start({"offsite_wait_ms": 5000})
        self.assertRegex(self.push("one"), r"stored on 3 of 3 servers, off-site included, sequence \d+")

    def test_with_copies_all_the_far_copy_is_waited_for(self):
        self.start({"all_wait_ms": 5000}, "all")
        for count in range(5):
            self.assertRegex(self.push(f"all {count}"), r"stored on 3 of 3 servers, off-site included, sequence \d+")


unittest.main()
