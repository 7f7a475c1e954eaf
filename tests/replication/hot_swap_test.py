#!/usr/bin/env python3
"""What clients notice of hand-overs and restarts: nothing but a pause. Usage: hot_swap_test.py BINARIES"""
import os, shutil, signal, subprocess, sys, tempfile, threading, time, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import CALM, Cluster, wait_until
from load import RawClient, git

BINARIES = sys.argv.pop(1)


class HotSwapTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-hot-")
        # A restart of another member must cost no epoch, and a machine that stands still for a moment is none.
        calm = "restart_of_one" in self.id()
        self.cluster = Cluster(BINARIES, self.directory, CALM if calm else {"heartbeat_ms": 100, "lease_ms": 700, "detector_ms": 1000})
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.key = os.path.join(self.directory, "key")
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", self.key], check=True)
        self.cluster.add_demo().ctl("key", "add", "demo", self.key + ".pub")
        self.cluster.wait_for_all()
        self.stopping, self.threads, self.clients, self.errors = threading.Event(), [], [], []
        self.addCleanup(self.end_load)

    def spawn(self, work):
        def guarded():
            try:
                work()
            except Exception as error:
                self.errors.append(f"{type(error).__name__}: {error}")
        self.threads.append(threading.Thread(target=guarded))
        self.threads[-1].start()

    def end_load(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        for client in self.clients:
            client.forget_connections()
        self.threads, self.clients = [], []

    def raw_load(self, member, count):
        """Pushes and reads over connections that stay open; the times of all that were answered."""
        clients = [RawClient(self.cluster.https_ports, f"{member}-{i}", member) for i in range(count)]
        self.clients += clients
        for client in clients:
            self.spawn(lambda client=client: client.run_until(self.stopping))
        return clients

    def push_with_git(self, name, member, over_ssh, size=10):
        work = os.path.join(self.directory, name)
        git("init", "-q", "-b", name, work)
        count = 0
        environment = {"GIT_SSH_COMMAND": f"ssh -F none -i {self.key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes"}
        while not self.stopping.is_set():
            count += 1
            with open(os.path.join(work, "file"), "wb") as out:
                out.write(os.urandom(size))
            git("add", ".", cwd=work)
            git("commit", "-qm", str(count), cwd=work)
            node = self.cluster.nodes[member]
            git("push", "-q", node.ssh_url("demo/r") if over_ssh else node.url("demo/r"), name, cwd=work, environment=environment)
        self.pushed[name] = git("rev-parse", "HEAD", cwd=work).stdout.strip()

    def test_a_hand_over_fails_no_request(self):
        self.pushed = {}
        clients = self.raw_load(1, 2) + self.raw_load(2, 2)
        self.spawn(lambda: self.push_with_git("ssh", 1, True))
        self.spawn(lambda: self.push_with_git("large", 2, False, 9_000_000))
        pauses = []
        for _ in range(8):
            primary = self.cluster.leader()
            other = self.cluster.nodes[3 - primary.number]
            wait_until(lambda: other.number in [int(n) for n in self.cluster.in_sync()], 60, "the standby is in sync")
            time.sleep(0.5)
            began = time.monotonic()
            self.cluster.hand_over(other.number)
            time.sleep(0.5)
            pauses.append(max(client.longest_since(began) for client in clients))
        self.end_load()
        self.assertEqual(self.errors, [])
        for client in clients:
            self.assertGreater(client.pushes, 20)
        self.assertEqual(set(self.pushed), {"ssh", "large"})
        self.cluster.wait_for_all()
        for number in (1, 2):
            listed = git("ls-remote", self.cluster.nodes[number].url("demo/r")).stdout
            for branch, tip in [(f"load{client.name}", client.tip) for client in clients] + list(self.pushed.items()):
                self.assertIn(f"{tip}\trefs/heads/{branch}\n", listed)
        print("longest request around a hand-over:", ", ".join(f"{pause * 1000:.0f}" for pause in sorted(pauses)), "ms")

    def test_the_whole_set_restarts_in_about_a_second(self):
        client = RawClient(self.cluster.https_ports, "whole")
        self.clients.append(client)
        client.push()
        least = {}
        for how in (signal.SIGTERM, signal.SIGKILL) * 3:
            for node in self.cluster.nodes.values():
                node.stop(how)
            for node in self.cluster.nodes.values():
                node.start()
            began = time.monotonic()
            client.forget_connections()
            client.push()  # waits for a primary
            took = time.monotonic() - began
            self.assertEqual(client.read(), client.tip)
            print(f"{how.name}: a push was acknowledged {took * 1000:.0f} ms after all three were up")
            self.assertLess(took, 30)
            least[how] = min(took, least.get(how, took))
            self.cluster.wait_for_all()
        self.assertLess(max(least.values()), 3)  # each time it is, unless the machine stands still

    def test_a_restart_of_one_disturbs_nobody(self):
        primary = self.cluster.leader()
        other = self.cluster.nodes[3 - primary.number]
        third = self.cluster.nodes[3]
        self.cluster.wait_in_sync()
        epoch = wait_until(primary.status, 60, "it serves")["epoch"]
        clients = self.raw_load(primary.number, 3)
        longest = {}
        for node in (third, other) * 3:
            time.sleep(0.5)
            began = time.monotonic()
            node.stop(signal.SIGKILL)
            node.start()
            committed = wait_until(primary.status, 60, "it serves")["committed"]
            wait_until(lambda: (node.status() or {}).get("applied", 0) >= committed, 60, "it follows again")
            self.cluster.wait_in_sync()
            longest.setdefault(node.number, []).append(max(client.longest_since(began) for client in clients))
        self.end_load()
        self.assertEqual(self.errors, [])
        self.assertEqual(wait_until(primary.status, 60, "it serves")["epoch"], epoch)
        print("longest request while a member restarted:", {number: ", ".join(f"{wait * 1000:.0f}" for wait in waits) + " ms" for number, waits in longest.items()})
        self.assertLess(max(min(waits) for waits in longest.values()), 2.5)
        self.assertLess(max(max(waits) for waits in longest.values()), 30)


if __name__ == "__main__":
    unittest.main(verbosity=2)
