#!/usr/bin/env python3
"""Three real servers and an etcd: pushes with receipts, kill -9 of the primary, hand-over. Usage: cluster_test.py BINARIES"""
import os, re, shutil, signal, subprocess, sys, tempfile, time, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import Cluster, wait_until

BINARIES = sys.argv.pop(1)


def git(*args, cwd=None, check=True):
    environment = dict(os.environ, GIT_SSL_NO_VERIFY="1", GIT_TERMINAL_PROMPT="0", GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b", GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@b")
    done = subprocess.run(["git", *args], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)
    if check and done.returncode != 0:
        raise AssertionError(f"git {args}: {done.stderr}")
    return done


class ClusterTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-cluster-")
        self.cluster = Cluster(BINARIES, self.directory)
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.work = os.path.join(self.directory, "work")
        git("init", "-q", "-b", "main", self.work)
        self.cluster.add_demo()
        self.cluster.wait_for_all()
        self.cluster.wait_in_sync()

    def commit(self, text):
        with open(os.path.join(self.work, "file"), "a") as out:
            out.write(text + "\n")
        git("add", ".", cwd=self.work)
        git("commit", "-qm", text, cwd=self.work)
        return git("rev-parse", "HEAD", cwd=self.work).stdout.strip()

    def push(self, node, check=True):
        return git("push", "-q", node.url("demo/r"), "main", cwd=self.work, check=check)

    def test_push_kill_and_hand_over(self):
        said = self.cluster.until_on_all(lambda: (self.commit("one"), git("push", "--progress", self.cluster.leader().url("demo/r"), "main", cwd=self.work).stderr)[1])
        self.assertRegex(said, r"sequence \d+")
        tip = git("rev-parse", "HEAD", cwd=self.work).stdout.strip()
        for number in (1, 2):  # a read anywhere shows it
            self.assertIn(tip, git("ls-remote", self.cluster.nodes[number].url("demo/r")).stdout)
        waits = []
        for round_number in range(3):
            self.cluster.wait_in_sync()
            primary = self.cluster.leader()
            other = self.cluster.nodes[3 - primary.number]
            tip = self.commit(f"before {round_number}")
            self.push(primary)
            self.cluster.wait_in_sync()
            primary.stop(signal.SIGKILL)
            began = time.monotonic()
            wait_until(lambda: other.role() == "primary", 60, "the standby leads")
            waits.append(time.monotonic() - began)
            self.assertIn(tip, git("ls-remote", other.url("demo/r")).stdout)
            self.commit(f"after {round_number}")
            self.push(other)
            primary.start()
            self.cluster.wait_for_all()
        print("the standby led after", ", ".join(f"{wait * 1000:.0f} ms" for wait in waits))
        # Planned: the other one leads, nobody was killed.
        self.cluster.wait_in_sync()
        primary = self.cluster.leader()
        other = self.cluster.nodes[3 - primary.number]
        self.cluster.hand_over(other.number)
        tip = self.commit("after the hand-over")
        self.push(other)
        self.cluster.wait_for_all()
        # All three hold the same, and it is sound.
        for node in self.cluster.nodes.values():
            node.stop()
            refs = subprocess.run([f"{BINARIES}/vexorctl", "--data", node.data, "refs", "demo/r"], capture_output=True, text=True, timeout=60)
            self.assertIn(tip, refs.stdout, refs.stderr)
            checked = subprocess.run([f"{BINARIES}/vexorctl", "--data", node.data, "fsck", "--all"], capture_output=True, text=True, timeout=60)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_a_push_to_the_standby_goes_to_the_primary(self):
        other = self.cluster.nodes[3 - self.cluster.leader().number]
        for size in (1, 9_000_000):  # the second one's rows go apart
            with open(os.path.join(self.work, "large"), "wb") as out:
                out.write(os.urandom(size))
            tip = self.commit(f"size {size}")
            said = git("push", "--progress", other.url("demo/r"), "main", cwd=self.work).stderr
            self.assertRegex(said, r"stored on \d of 3 servers, .*sequence \d+")
            self.assertIn(tip, git("ls-remote", other.url("demo/r")).stdout)
        # Refused there as here: not a fast-forward, no permission.
        git("reset", "-q", "--hard", "HEAD~1", cwd=self.work)
        self.commit("another")
        self.assertIn("non-fast-forward", self.push(other, check=False).stderr)
        self.cluster.leader().ctl("grant", "demo/r", "demo", "read")
        self.assertNotEqual(self.push(other, check=False).returncode, 0)

    def test_pushes_go_on_while_primaries_die(self):
        """A client of one member: the other one dies. Of what was acknowledged nothing is missing."""
        self.commit("begin")
        self.push(self.cluster.leader())
        acknowledged, failed = [], 0
        for round_number in range(4):
            self.cluster.wait_in_sync()
            primary = self.cluster.leader()
            other = self.cluster.nodes[3 - primary.number]
            for i in range(3):
                branch = f"r{round_number}-{i}"
                tip = self.commit(branch)
                if i == 1:
                    primary.stop(signal.SIGKILL)
                done = git("push", "-q", other.url("demo/r"), f"HEAD:refs/heads/{branch}", cwd=self.work, check=False)
                if done.returncode == 0:
                    acknowledged.append((branch, tip))
                else:
                    failed += 1
            primary.start()
            self.cluster.wait_for_all()
        self.assertGreaterEqual(len(acknowledged), 8)
        for number in (1, 2):
            listed = git("ls-remote", self.cluster.nodes[number].url("demo/r")).stdout
            for branch, tip in acknowledged:
                self.assertIn(f"{tip}\trefs/heads/{branch}\n", listed)
        print(f"{len(acknowledged)} pushes acknowledged, {failed} failed")


if __name__ == "__main__":
    unittest.main(verbosity=2)
