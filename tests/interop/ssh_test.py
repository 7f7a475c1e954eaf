#!/usr/bin/env python3
"""Real OpenSSH and git clients against a real vexord over SSH. Usage: ssh_test.py BINARY_DIRECTORY."""
import os, shutil, signal, socket, subprocess, tempfile, time, unittest

from https_test import HttpsTest, PASSWORD, Server, commit, git, objects, refs

del HttpsTest  # imported for its helpers; its tests run in their own file


class SshTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="vexor-ssh-")
        Server.home = cls.directory
        git("config", "--global", "user.name", "Test")
        git("config", "--global", "user.email", "test@example.com")
        git("config", "--global", "init.defaultBranch", "main")
        cls.server = Server(cls.directory)
        cls.server.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        for kind, options in (("ed25519", []), ("ecdsa", []), ("rsa", ["-b", "3072"]), ("unknown", [])):
            subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", cls.key(kind), "-t", "ed25519" if kind == "unknown" else kind, *options], check=True)
            if kind != "unknown":
                cls.server.ctl("key", "add", "demo", cls.key(kind) + ".pub")
        for name in ("push", "versions", "kill", "rekey"):
            cls.server.ctl("repo", "create", f"demo/{name}")
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        shutil.rmtree(cls.directory)

    @classmethod
    def key(cls, kind):
        return os.path.join(cls.directory, f"key-{kind}")

    def ssh(self, kind="ed25519", *options):
        return ["ssh", "-F", "none", "-i", self.key(kind), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
                "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentityAgent=none", *options]

    def run_ssh(self, command, kind="ed25519", *options):
        return subprocess.run([*self.ssh(kind, *options), "-p", str(self.server.ssh_port), "git@127.0.0.1", command],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)

    def git(self, *args, kind="ed25519", **options):
        return git(*args, GIT_SSH_COMMAND=" ".join(self.ssh(kind)), **options)

    def url(self, name):
        return f"ssh://git@127.0.0.1:{self.server.ssh_port}/demo/{name}.git"

    def make(self, name, count=5):
        work = os.path.join(self.directory, name)
        git("init", "-q", work)
        for i in range(count):
            commit(work, f"f{i}", f"{i}\n" * 100)
        git("tag", "-a", "-m", "v1", "v1", cwd=work)
        return work

    def test_every_key_type_and_protocol_version(self):
        work = self.make("versions")
        self.git("push", "-q", "--mirror", self.url("versions"), cwd=work)
        for kind in ("ed25519", "ecdsa", "rsa"):
            for version in (0, 1, 2):
                clone = os.path.join(self.directory, f"clone-{kind}-{version}")
                self.git("clone", "-q", "--mirror", self.url("versions"), clone, kind=kind, protocol=version)
                self.assertEqual(refs(clone), refs(work))
                self.assertEqual(objects(clone), objects(work))

    def test_incremental(self):
        work = self.make("push")
        self.git("push", "-q", self.url("push"), "main", cwd=work)
        clone = os.path.join(self.directory, "push-clone")
        self.git("clone", "-q", self.url("push"), clone)
        for i in range(10):
            commit(work, "f0", f"change {i}\n" * 100)
            self.git("push", "-q", self.url("push"), "main", cwd=work)
            self.git("pull", "-q", "--ff-only", cwd=clone, protocol=i % 3)
        self.assertEqual(git("rev-parse", "HEAD", cwd=clone).stdout, git("rev-parse", "HEAD", cwd=work).stdout)
        git("fsck", "--full", "--strict", cwd=clone)

    def test_key_re_exchange_in_the_middle_of_packs(self):
        work, clone = os.path.join(self.directory, "rekey"), os.path.join(self.directory, "rekey-clone")
        git("init", "-q", work)
        with open(os.path.join(work, "blob"), "wb") as out:
            out.write(os.urandom(40 << 20))
        git("add", "-A", cwd=work)
        git("commit", "-q", "-m", "random", cwd=work)
        command = " ".join(self.ssh("ed25519", "-o", "RekeyLimit=1M"))
        url = f"ssh://git@127.0.0.1:{self.server.ssh_port}/demo/rekey.git"
        git("push", "-q", url, "main", cwd=work, GIT_SSH_COMMAND=command)
        git("clone", "-q", url, clone, GIT_SSH_COMMAND=command)
        git("fsck", "--full", "--strict", cwd=clone)
        self.assertEqual(git("rev-parse", "HEAD", cwd=clone).stdout, git("rev-parse", "HEAD", cwd=work).stdout)

    def test_unknown_key_is_refused(self):
        self.assertEqual(self.run_ssh("git-upload-pack 'demo/push'", "unknown").returncode, 255)

    def test_certificate_made_by_the_client_is_refused(self):
        authority = os.path.join(self.directory, "authority")
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", authority], check=True)
        subprocess.run(["ssh-keygen", "-q", "-s", authority, "-I", "demo", "-n", "git", self.key("unknown") + ".pub"], check=True)
        refused = self.run_ssh("git-upload-pack 'demo/push'", "unknown", "-o", f"CertificateFile={self.key('unknown')}-cert.pub")
        self.assertEqual(refused.returncode, 255)

    def test_short_rsa_key_is_not_registered(self):
        path = os.path.join(self.directory, "short")
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "rsa", "-b", "2048", "-f", path], check=True)
        copy = Server(os.path.join(self.directory, "other"))
        os.makedirs(copy.data)
        copy.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        with self.assertRaisesRegex(AssertionError, "3072"):
            copy.ctl("key", "add", "demo", path + ".pub")

    def test_tries_are_counted(self):
        identities = []
        for i in range(9):
            path = os.path.join(self.directory, f"many{i}")
            subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", path], check=True)
            identities += ["-i", path]
        done = subprocess.run(["ssh", "-F", "none", *identities, "-i", self.key("ed25519"), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
                               "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "IdentityAgent=none", "-p", str(self.server.ssh_port),
                               "git@127.0.0.1", "help"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual(done.returncode, 255)  # the right key came after too many wrong ones

    def test_only_git_commands(self):
        for command in ("sh", "git-upload-pack 'demo/push' extra", "git-upload-pack 'demo/push'; id", "git-upload-archive 'demo/push'"):
            done = self.run_ssh(command)
            self.assertEqual(done.returncode, 1, command)
            self.assertIn("help", done.stderr)
        for path in ("'../../etc'", "'demo/missing.git'", "'other/push.git'", "''"):
            done = self.run_ssh("git-upload-pack " + path)
            self.assertEqual(done.returncode, 1)
            self.assertIn("repository not found", done.stderr)

    def test_forwarding_and_subsystems_are_refused(self):
        done = subprocess.run([*self.ssh(), "-p", str(self.server.ssh_port), "-s", "git@127.0.0.1", "sftp"], capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=60)
        self.assertNotEqual(done.returncode, 0)

    def test_silent_connection_is_dropped(self):
        with socket.create_connection(("127.0.0.1", self.server.ssh_port)) as raw:
            raw.settimeout(40)
            begun = time.monotonic()
            while raw.recv(4096):
                pass
            self.assertLess(time.monotonic() - begun, 35)

    def test_kill_keeps_acknowledged_pushes(self):
        work = self.make("kill")
        self.git("push", "-q", self.url("kill"), "main", cwd=work)
        self.server.stop(signal.SIGKILL)
        self.server.start()
        head = git("rev-parse", "HEAD", cwd=work).stdout.strip()
        self.assertIn(head, self.git("ls-remote", self.url("kill")).stdout)


if __name__ == "__main__":
    unittest.main(verbosity=1)
