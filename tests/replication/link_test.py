#!/usr/bin/env python3
"""The link to an off-site member 80 ms away, through a relay: what a push is told, and how long that takes. Usage: link_test.py BINARIES"""
import json, os, random, re, shutil, signal, subprocess, sys, tempfile, time, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import CALM, Cluster, wait_until
from load import RawClient, git
from relay import octets_carried, start_relay

BINARIES = sys.argv.pop(1)
ROUND_TRIP_MS = 80
SLOW_ROUND_TRIP_MS = 400  # above what a busy disk takes


class LinkTest(unittest.TestCase):
    def start(self, timers, copies="two", round_trip_ms=ROUND_TRIP_MS):
        directory = tempfile.mkdtemp(prefix="vexor-link-")
        self.addCleanup(shutil.rmtree, directory, True)
        self.cluster = Cluster(BINARIES, directory, {**CALM, "offsite_wait_ms": 10, **timers})
        self.cluster.copies = copies
        self.relay = start_relay(self.cluster, round_trip_ms / 2)
        self.addCleanup(self.relay.stdout.close)
        self.addCleanup(self.relay.wait)
        self.addCleanup(self.relay.kill)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.primary = self.cluster.leader()
        wait_until(lambda: self.far().get("round_trip_ms", 0) >= round_trip_ms, 60, "the primary knows the round trip")
        self.cluster.add_demo()
        self.cluster.wait_for_all()
        self.work = os.path.join(directory, "work")
        git("init", "-q", "-b", "main", self.work)

    def far(self):
        """What the primary says of the off-site member."""
        others = wait_until(lambda: (self.primary.status() or {}).get("others"), 60, "the primary tells of the others")
        return next(other for other in others if other["node"] == 3)

    def push(self, text):
        git("commit", "-q", "--allow-empty", "-m", text, cwd=self.work)
        return git("push", "--progress", self.primary.url("demo/r"), "HEAD:refs/heads/main", cwd=self.work).stderr

    def commit_files(self, seed, count, line, lines=2000):
        """So many files, and a commit of them."""
        draw = random.Random(seed)
        for number in range(count):
            with open(os.path.join(self.work, f"file{seed}-{number}"), "w") as out:
                out.writelines(line(draw) for _ in range(lines))
        git("add", ".", cwd=self.work)
        git("commit", "-q", "-m", f"files {seed}", cwd=self.work)

    def stored_bytes(self):
        """What git makes of all that was pushed."""
        pack = subprocess.run(["git", "pack-objects", "--all", "--stdout", "-q"], stdin=subprocess.DEVNULL, cwd=self.work, capture_output=True, check=True).stdout
        return len(pack)

    def wait_for_far(self, said):
        """Until the off-site member has applied what a push was told of."""
        sequence = int(re.search(r"sequence (\d+)", said)[1])
        wait_until(lambda: (self.cluster.nodes[3].status() or {"applied": 0})["applied"] >= sequence, 60, f"{sequence} is off-site")

    def off_site(self):
        return octets_carried(self.relay)

    def push_and_count(self, seed, count, line, lines=2000):
        """Octets that went off-site for a push, and those of its pack."""
        self.commit_files(seed, count, line, lines)
        before, stored = self.off_site(), self.pushed
        self.wait_for_far(self.push(f"push {seed}"))
        self.pushed = self.stored_bytes()
        sent, pushed = self.off_site() - before, self.pushed - stored
        print(f"{sent} octets on the link for {pushed} pushed", flush=True)
        return sent, pushed

    def test_rows_go_to_another_site_in_the_form_for_the_link(self):
        known = [f"{random.Random(number).getrandbits(240):x}\n" for number in range(300)]
        text = lambda draw: draw.choice(known)  # zlib finds little in a file of it, zstd much across files
        self.pushed = 0
        self.start({})
        git("config", "pack.window", "0", cwd=self.work)
        sent, pushed = self.push_and_count(1, 400, text, 100)
        self.assertLess(sent, pushed * 0.8)
        # A member that was away asks for them, and gets them so.
        self.cluster.nodes[3].stop(signal.SIGTERM)
        self.commit_files(2, 400, text, 100)
        said = self.push("while it is away")
        before = self.off_site()
        self.cluster.nodes[3].start()
        self.wait_for_far(said)
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

    def test_entries_cross_a_slow_link_no_faster_than_they_may(self):
        rate = 1 << 20
        self.start({"site_bytes_per_second": rate})
        self.cluster.nodes[3].stop(signal.SIGTERM)
        draw = random.Random(1)
        client = RawClient(self.cluster.https_ports, "entries", self.primary.number)
        client.content = lambda: draw.randbytes(150_000)  # below what makes rows come apart from their entry
        for _ in range(60):
            client.push()
        client.forget_connections()
        before, began = self.off_site(), time.monotonic()
        self.cluster.nodes[3].start()
        self.cluster.wait_for_all(60)
        sent, took = self.off_site() - before, time.monotonic() - began
        self.assertGreater(sent, 60 * 150_000)
        self.assertGreater(took, (sent - (4 << 20)) / rate, "less the last message, of which nobody waits for the end")

    def test_a_push_does_not_wait_for_the_far_copy_and_says_so(self):
        self.start({}, round_trip_ms=SLOW_ROUND_TRIP_MS)
        said = [self.push(f"push {count}") for count in range(5)]  # one that waited for the disk may find it off-site
        self.assertRegex("".join(said), r"stored on 2 of 3 servers, off-site follows, sequence \d+")
        client = RawClient(self.cluster.https_ports, "far", self.primary.number)
        for _ in range(20):
            client.push()
        client.forget_connections()
        took = sorted(seconds for _, seconds, _ in client.times)
        self.assertLess(took[0], SLOW_ROUND_TRIP_MS / 1000)
        self.cluster.wait_for_all()
        wait_until(lambda: self.far()["has"] == (self.primary.status() or {}).get("appended"), 60, "the primary knows that all is off-site")

    def test_a_push_waits_for_the_far_copy_if_it_is_to(self):
        self.start({"offsite_wait_ms": 20000})
        self.cluster.until_on_all(lambda: self.push("one"))

    def test_with_copies_all_the_far_copy_is_waited_for(self):
        self.start({"all_wait_ms": 20000}, "all")
        for count in range(5):
            self.cluster.until_on_all(lambda: self.push(f"all {count}"))

    def try_push(self, target, text, environment={}):
        git("commit", "-q", "--allow-empty", "-m", text, cwd=self.work)
        return git("push", target, "HEAD:refs/heads/main", cwd=self.work, check=False, environment=environment)

    def check_short(self, name, url, environment={}):
        """A push that the off-site member has not in time: an error, of refs that have changed."""
        git("remote", "add", name, url, cwd=self.work)
        for count in range(3):  # a member that stood still for a second counts as away: then nothing is stored
            done = self.try_push(name, f"{name} {count}", environment)
            if "stored on" in done.stderr:
                break
            self.cluster.wait_for_all(60)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"remote: stored on 2 of 3 servers, off-site follows, sequence \d+; copies = all asks for all of them\. The change is made")
        self.assertRegex(done.stderr, r"HEAD -> main\n")
        self.assertNotIn("rejected", done.stderr)
        tip = git("rev-parse", "HEAD", cwd=self.work).stdout.strip()
        self.assertEqual(git("rev-parse", f"refs/remotes/{name}/main", cwd=self.work).stdout.strip(), tip)
        self.assertIn(tip, git("ls-remote", url, "refs/heads/main", cwd=self.work, environment=environment).stdout)
        again = git("push", name, "HEAD:refs/heads/main", cwd=self.work, environment=environment)
        self.assertIn("Everything up-to-date", again.stderr)
        self.wait_for_far(done.stderr)

    def test_with_copies_all_a_push_that_is_short_is_an_error_and_its_refs_have_changed(self):
        self.start({"all_wait_ms": 20}, round_trip_ms=SLOW_ROUND_TRIP_MS)
        key = os.path.join(self.work, ".git", "ssh-key")
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", key], check=True)
        self.primary.ctl("key", "add", "demo", key + ".pub")
        self.cluster.ctl("copies", "all")
        wait_until(lambda: "copies = all" in self.try_push(self.primary.url("demo/r"), "until it knows").stderr, 60, "the primary knows that copies = all")
        self.check_short("primary", self.primary.url("demo/r"))
        self.check_short("standby", self.cluster.nodes[3 - self.primary.number].url("demo/r"))  # it forwards the session, once
        self.check_short("over-ssh", self.primary.ssh_url("demo/r"),
                         {"GIT_SSH_COMMAND": f"ssh -F none -i {key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes"})
        for command in (("repo", "create", "demo/short"), ("import", "demo/short", os.path.join(self.work, ".git"))):
            done = subprocess.run([f"{BINARIES}/vexorctl", "--data", self.primary.data, "--json", *command], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 6, done.stdout + done.stderr)
            self.assertTrue(json.loads(done.stdout)["receipt"]["short"])
            self.assertIn("copies = all asks for all of them. The change is made", json.loads(done.stdout)["receipt"]["text"])


unittest.main()
