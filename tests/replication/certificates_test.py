#!/usr/bin/env python3
"""Certificates of a replica set: `vexorctl cluster certs` makes them, and members take no others. Usage: certificates_test.py BINARIES"""
import os, pathlib, re, shutil, signal, stat, subprocess, sys, tempfile, time, unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import certificates
from cluster import CALM, Cluster, wait_until
from load import git

BINARIES = sys.argv.pop(1)
REFUSED_SECONDS = 5


def openssl(*args, cwd):
    return subprocess.run(["openssl", *args], cwd=cwd, capture_output=True, text=True, timeout=60)


class CertificatesTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="vexor-certs-")
        self.addCleanup(shutil.rmtree, self.directory, True)

    def certs(self, *args):
        return subprocess.run([f"{BINARIES}/vexorctl", "cluster", "certs", *args], capture_output=True, text=True, timeout=60)

    def files(self, directory):
        return {name: pathlib.Path(directory, name).read_text() for name in os.listdir(directory)}

    def test_what_is_made(self):
        made = os.path.join(self.directory, "made")
        told = certificates.make(BINARIES, made, members=(1, 12))
        self.assertIn("ca.pem", told)
        first = self.files(made)
        self.assertEqual(sorted(first), sorted(f"{name}.{end}" for name in ("ca", "node1", "node12", "etcd") for end in ("pem", "key")))
        self.assertEqual(stat.S_IMODE(os.stat(made).st_mode), 0o700)
        for name in first:
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(made, name)).st_mode), 0o600, name)
        for name, names in (("node1", "DNS:node-1.vexor"), ("node12", "DNS:node-12.vexor"), ("etcd", "IP Address:127.0.0.1, DNS:localhost")):
            verified = openssl("verify", "-x509_strict", "-CAfile", "ca.pem", f"{name}.pem", cwd=made)
            self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
            text = openssl("x509", "-noout", "-text", "-in", f"{name}.pem", cwd=made).stdout
            self.assertIn(names, text)
            self.assertIn("CA:FALSE", text)
            public = openssl("x509", "-noout", "-pubkey", "-in", f"{name}.pem", cwd=made).stdout
            self.assertEqual(openssl("pkey", "-pubout", "-in", f"{name}.key", cwd=made).stdout, public)
        serials = {openssl("x509", "-noout", "-serial", "-in", f"{name}.pem", cwd=made).stdout for name in ("ca", "node1", "node12", "etcd")}
        self.assertEqual(len(serials), 4)

    def test_what_is_there_is_kept_unless_it_is_to_be_renewed(self):
        certificates.make(BINARIES, self.directory)
        first = self.files(self.directory)
        self.assertIn("kept", certificates.make(BINARIES, self.directory))
        self.assertEqual(self.files(self.directory), first)
        os.remove(os.path.join(self.directory, "node2.key"))  # as after a crash: it is made anew
        certificates.make(BINARIES, self.directory)
        second = self.files(self.directory)
        self.assertEqual({name for name in first if first[name] != second[name]}, {"node2.pem", "node2.key"})
        certificates.make(BINARIES, self.directory, options=("--renew", "--days", "30"))
        third = self.files(self.directory)
        self.assertEqual({name for name in first if second[name] == third[name]}, {"ca.pem", "ca.key"})
        self.assertEqual(openssl("verify", "-CAfile", "ca.pem", "node1.pem", cwd=self.directory).returncode, 0)
        self.assertEqual(openssl("x509", "-checkend", str(29 * 86400), "-in", "node1.pem", cwd=self.directory).returncode, 0)
        self.assertEqual(openssl("x509", "-checkend", str(31 * 86400), "-in", "node1.pem", cwd=self.directory).returncode, 1)

    def test_what_cannot_be_made_is_told(self):
        certificates.make(BINARIES, self.directory)
        before = self.files(self.directory)
        for args, words in ((["x"], "NAME=HOST"), (["../x=localhost"], "NAME=HOST"), (["ca=localhost"], "NAME=HOST"), (["x="], "NAME=HOST"), (["x=a b"], "NAME=HOST"), (["x=a,,b"], "NAME=HOST"), (["x=a/b"], "NAME=HOST")):
            done = self.certs(self.directory, "--server", *args)
            self.assertNotEqual(done.returncode, 0, args)
            self.assertIn(words, done.stderr)
        self.assertNotEqual(self.certs(self.directory, "0").returncode, 0)
        self.assertNotEqual(self.certs(self.directory, "one").returncode, 0)
        self.assertEqual(self.files(self.directory), before)
        os.rename(os.path.join(self.directory, "ca.key"), os.path.join(self.directory, "away"))
        done = self.certs(self.directory, "4")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ca.key", done.stderr)
        other = tempfile.mkdtemp(prefix="vexor-certs-")
        self.addCleanup(shutil.rmtree, other, True)
        certificates.make(BINARIES, other)
        shutil.copy(os.path.join(other, "ca.key"), os.path.join(self.directory, "ca.key"))
        done = self.certs(self.directory, "4")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("key is not that of its certificate", done.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.directory, "node4.pem")))

    def test_a_member_takes_no_other_certificate(self):
        """Of another authority, or of the same for another member: it is as if the member were away."""
        cluster = Cluster(BINARIES, self.directory, CALM)
        cluster.is_secured = True
        self.addCleanup(cluster.stop)
        cluster.start()
        primary = cluster.add_demo()
        cluster.wait_in_sync()
        work = os.path.join(self.directory, "work")
        git("init", "-q", "-b", "main", work)

        def push(text):
            git("commit", "-q", "--allow-empty", "-m", text, cwd=work)
            said = git("push", "--progress", primary.url("demo/r"), "HEAD:refs/heads/main", cwd=work).stderr
            return re.search(r"stored on (\d) of 3", said)[1]

        cluster.until_on_all(lambda: f"stored on {push('with all')} of 3 servers, off-site included")
        gauges = primary.metrics()
        for what in ("members", "etcd"):
            self.assertGreater(gauges[f'vexor_certificate_end_time_seconds{{for="{what}"}}'], time.time() + 86400)
        standby = cluster.nodes[3 - primary.number]
        own = {end: os.path.join(self.directory, f"node{standby.number}.{end}") for end in ("pem", "key")}
        kept = {end: pathlib.Path(path).read_text() for end, path in own.items()}
        other = tempfile.mkdtemp(prefix="vexor-certs-")
        self.addCleanup(shutil.rmtree, other, True)
        certificates.make(BINARIES, other)
        certificates.make(BINARIES, self.directory, members=(1, 2, 3, 9))
        for source in (os.path.join(other, f"node{standby.number}"), os.path.join(self.directory, "node9")):
            standby.stop(signal.SIGKILL)
            wait_until(lambda: standby.number not in cluster.in_sync(), 60, "the standby is out")
            for end, path in own.items():
                shutil.copy(f"{source}.{end}", path)
            # etcd takes the authority's certificates, whoever's they are; of another authority none.
            standby.start()
            with self.assertRaises(AssertionError):
                wait_until(lambda: standby.number in cluster.in_sync(), REFUSED_SECONDS, "refused")
            self.assertEqual(push("without it"), "2")
            refused = git("ls-remote", standby.url("demo/r"), cwd=work, check=False)
            self.assertNotEqual(refused.returncode, 0, refused.stdout)
        standby.stop(signal.SIGKILL)
        for end, path in own.items():
            with open(path, "w") as out:
                out.write(kept[end])
        standby.start()
        cluster.wait_in_sync()
        cluster.until_on_all(lambda: f"stored on {push('with all again')} of 3 servers, off-site included")


if __name__ == "__main__":
    unittest.main(verbosity=2)
