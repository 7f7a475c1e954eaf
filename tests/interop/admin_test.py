#!/usr/bin/env python3
"""Administration: vexorctl through the socket and offline, users' own commands over SSH, OpenSSH mode
with a real sshd, configuration files, health and metrics. Usage: admin_test.py BINARY_DIRECTORY."""
import json, os, pwd, re, select, shutil, signal, socket, subprocess, sys, tempfile, time, unittest, urllib.error, urllib.request

from https_test import BINARIES, HttpsTest, PASSWORD, Server, commit, git, objects, refs

del HttpsTest  # imported for its helpers; its tests run in their own file


class AdminTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="vexor-admin-")
        os.chmod(cls.directory, 0o755)
        Server.home = cls.directory
        for key, value in (("user.name", "Test"), ("user.email", "test@example.com"), ("init.defaultBranch", "main")):
            git("config", "--global", key, value)
        cls.data = cls.path("data")
        with open(cls.path("vexord.toml"), "w") as out:
            out.write(f'[server]\ndata = "{cls.data}"\n[https]\nlisten = "127.0.0.1:0"\n[ssh]\nlisten = "127.0.0.1:0"\n[monitor]\nlisten = "127.0.0.1:0"\n'
                      "[limits]\npush_options_max = 3\n[purge]\npersons = \"demo,second\"\n")
        cls.log = open(cls.path("log"), "wb")
        cls.process = subprocess.Popen([f"{BINARIES}/vexord", "--config", cls.path("vexord.toml")], stdout=subprocess.PIPE, stderr=cls.log, text=True)
        cls.ready = json.loads(cls.process.stdout.readline())
        os.environ["GIT_SSL_CAINFO"] = cls.ready["certificate"]
        cls.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n")
        cls.ctl("user", "add", "other", "--password-stdin", stdin=PASSWORD + "\n")
        cls.ctl("user", "add", "second", "--password-stdin", stdin=PASSWORD + "\n")
        for name in ("demo", "other"):
            subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", cls.path(name + "-key")], check=True)
            cls.ctl("key", "add", name, cls.path(name + "-key") + ".pub")
        cls.work = cls.path("work")
        git("init", "-q", cls.work)
        for i in range(8):
            commit(cls.work, f"f{i}", f"{i}\n" * 50)
        git("tag", "-a", "-m", "t", "t", cwd=cls.work)

    @classmethod
    def tearDownClass(cls):
        cls.process.send_signal(signal.SIGTERM)
        status = cls.process.wait(timeout=40)
        cls.process.stdout.close()
        cls.log.close()
        with open(cls.path("log")) as log:
            text = log.read()
        print(text[-800:]) if os.environ.get("VEXOR_TEST_LOG") else None
        shutil.rmtree(cls.directory)
        assert status == 0, f"the server ended with {status}"
        assert PASSWORD not in text, "a password reached the log"
        for line in text.splitlines():
            assert "time" in json.loads(line) and "event" in json.loads(line), line

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    @classmethod
    def ctl(cls, *args, stdin="", code=0, data=None):
        where = ["--data", data] if data else ["--socket", cls.ready["admin"]]
        done = subprocess.run([f"{BINARIES}/vexorctl", *where, *args], input=stdin, capture_output=True, text=True, timeout=100)
        assert done.returncode == code, f"{args}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    @classmethod
    def logged(cls, event):
        with open(cls.path("log")) as log:
            return [line for line in map(json.loads, log) if line["event"] == event]

    def url(self, name, user="demo"):
        return f"https://{user}:{PASSWORD.replace(' ', '%20')}@{self.ready['https']}/{name}.git"

    def ssh(self, *command, user="demo", port=None, stdin="", check=True, options=()):
        done = subprocess.run(["ssh", "-F", "none", "-i", self.path(user + "-key"), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
                               "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentityAgent=none", *options,
                               "-p", str(port or self.ready["ssh"].rsplit(":", 1)[1]), "git@127.0.0.1", *command], input=stdin, capture_output=True, text=True, timeout=60)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def test_repositories_through_the_socket(self):
        self.assertEqual(json.loads(self.ctl("--json", "repo", "create", "demo/alone")), {"message": "created demo/alone"})  # no receipt: there is no other server
        self.assertEqual(self.ctl("repo", "set", "demo/alone", "--public"), "changed demo/alone\n")
        self.ctl("repo", "create", "demo/one", "--description", "first")
        self.assertIn("the name is taken", self.ctl("repo", "create", "demo/one", code=4))
        git("push", "-q", self.url("demo/one"), "main", "t", cwd=self.work)
        described = json.loads(self.ctl("--json", "repo", "describe", "demo/one"))["fields"]
        self.assertEqual((described["commits"], described["refs"], described["tags"], described["description"]), (8, 2, 1, "first"))
        self.ctl("repo", "fork", "demo/one", "other/two")
        self.ctl("repo", "set", "other/two", "--public", "--default-branch", "trunk")
        listed = {row["name"]: row for row in json.loads(self.ctl("--json", "repo", "list"))["rows"]}
        self.assertEqual(listed["other/two"]["access"], "public")
        self.assertEqual(listed["other/two"]["default_branch"], "refs/heads/trunk")
        copies = lambda: json.loads(self.ctl("--json", "repo", "describe", "other/two"))["fields"]["copies"]
        self.assertEqual(copies(), "cluster")
        for policy in ("all", "local", "two", "cluster"):
            self.ctl("repo", "set", "other/two", "--copies", policy)
            self.assertEqual(copies(), policy)
        self.ctl("repo", "set", "other/two", "--copies", "three", code=2)
        self.ctl("repo", "delete", "demo/one")
        listed = json.loads(self.ctl("--json", "repo", "list", "--deleted"))["rows"]
        self.assertRegex(next(row["deleted"] for row in listed if row["name"] == "demo/one"), r"^20\d\d-\d\d-\d\dT[\d:]{8}Z$")
        self.assertIn("not found", git("ls-remote", self.url("demo/one"), check=False).stderr)
        self.assertIn("refs/heads/main", git("ls-remote", self.url("other/two")).stdout)
        self.ctl("repo", "restore", "demo/one")
        self.assertIn("refs/heads/main", git("ls-remote", self.url("demo/one")).stdout)
        self.ctl("repo", "rename", "demo/one", "demo/uno")
        self.ctl("repo", "delete", "demo/uno")
        self.assertIn("not one of the persons", self.ctl("repo", "purge", "demo/uno", "--request", "--reason", "x", "--as", "other", "--password-stdin", stdin=PASSWORD + "\n", code=1))
        request = json.loads(self.ctl("--json", "repo", "purge", "demo/uno", "--request", "--reason", "x", "--as", "demo", "--password-stdin", stdin=PASSWORD + "\n"))["request"]
        self.ctl("repo", "purge", "--approve", str(request), "--as", "second", "--password-stdin", stdin=PASSWORD + "\n")
        self.ctl("repo", "restore", "demo/uno", code=3)
        git("clone", "-q", "-b", "main", self.url("other/two"), self.path("two"))
        self.assertIn("NAME", self.ctl("repo", "list"))
        self.ctl("repo", "list", "--nonsense", code=2)
        self.assertEqual(json.loads(self.ctl("--json", "fsck", "other/two"))["problem_count"], 0)
        self.assertGreater(json.loads(self.ctl("--json", "stats"))["fields"]["last_sequence"], 5)
        self.assertIn("stop the server first", self.ctl("repair", "--rebuild-derived", code=1))

    def test_protected_and_hidden_refs(self):
        self.ctl("repo", "create", "demo/guard")
        url = self.url("demo/guard")
        git("push", "-q", url, "main", "main:refs/pull/1/head", cwd=self.work)
        self.ctl("protect", "demo/guard", "main")
        for spec in ("+main~2:main", ":main"):
            self.assertIn("protected ref", git("push", url, spec, cwd=self.work, check=False).stderr)
        self.ctl("protect", "demo/guard", "main", "--only", "other")
        self.assertIn("not among those", git("push", url, "+main~1:main", cwd=self.work, check=False).stderr)
        self.ctl("protect", "demo/guard", "main", "--remove")
        git("push", "-q", url, "+main~2:main", cwd=self.work)
        log = json.loads(self.ctl("--json", "reflog", "demo/guard", "main"))["rows"]
        self.assertEqual(len(log), 2)
        self.assertEqual(log[0]["time"], time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(log[0]["time_ms"] / 1000)))
        self.ctl("hide", "demo/guard", "refs/pull/*")
        self.assertNotIn("refs/pull", git("ls-remote", url).stdout)
        hidden = git("rev-parse", "main", cwd=self.work).stdout.strip()
        git("init", "-q", self.path("hidden"))
        self.assertIn("not our ref", git("fetch", url, hidden, cwd=self.path("hidden"), check=False).stderr)

    def test_hidden_refs_are_told_to_owners_only(self):
        self.ctl("repo", "create", "demo/veiled", "--public")
        git("push", "-q", self.url("demo/veiled"), "main", "main~1:refs/pull/7/head", cwd=self.work)
        self.ctl("hide", "demo/veiled", "refs/pull/*")
        self.ctl("grant", "demo/veiled", "other", "write")
        hidden = git("rev-parse", "main~1", cwd=self.work).stdout.strip()
        self.assertIn(hidden, self.ssh("reflog", "demo/veiled", "refs/pull/7/head").stdout)
        self.assertIn("refs/pull/*", self.ssh("repo", "describe", "demo/veiled").stdout)
        for name in ("refs/pull/7/head", "refs/pull/8/head", "main"):  # what was taken back is the owner's, hidden or not
            refused = self.ssh("reflog", "demo/veiled", name, user="other", check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertEqual(refused.stdout, "", name)
            self.assertIn("only the owner", refused.stderr)
        described = self.ssh("repo", "describe", "demo/veiled", user="other").stdout
        self.assertIn("public", described)
        self.assertNotIn("refs/pull", described)
        self.assertNotIn("hidden", described)

    def test_import_and_export(self):
        for object_format in ("sha1", "sha256"):
            source = self.path("source-" + object_format)
            git("init", "-q", "--object-format=" + object_format, source)
            for i in range(6):
                commit(source, f"f{i}", f"{i}\n" * 40)
            git("branch", "side", "HEAD~2", cwd=source)
            name = "demo/import-" + object_format
            self.ctl("repo", "create", name, "--object-format", object_format)
            self.assertIn("imported 2 refs", self.ctl("import", name, source + "/.git"))
            self.assertIn("nothing to import", self.ctl("import", name, source + "/.git"))
            bundle = self.path(object_format + ".bundle")
            self.ctl("export", name, bundle)
            git("bundle", "verify", bundle, cwd=source)
            clone = self.path("clone-" + object_format)
            git("clone", "-q", "--mirror", bundle, clone)
            git("fsck", "--full", "--strict", cwd=clone)
            self.assertEqual(refs(clone), refs(source))
            again = name + "-again"
            self.ctl("repo", "create", again, "--object-format", object_format)
            self.ctl("import", again, bundle)
            self.assertEqual(git("ls-remote", self.url(again)).stdout, git("ls-remote", self.url(name)).stdout)
        with open(self.path("damaged"), "wb") as out, open(self.path("sha1.bundle"), "rb") as good:
            content = bytearray(good.read())
            content[-100] ^= 1
            out.write(content)
        self.ctl("repo", "create", "demo/damaged")
        self.ctl("import", "demo/damaged", self.path("damaged"), code=1)
        self.assertEqual(git("ls-remote", self.url("demo/damaged")).stdout, "")

    def test_offline(self):
        data = self.path("offline")
        self.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n", data=data)
        self.ctl("repo", "create", "demo/x", data=data)
        self.assertIn("imported 2 refs", self.ctl("import", "demo/x", self.work + "/.git", data=data))
        self.assertIn("problem", self.ctl("fsck", "--all", data=data).lower())
        self.assertIn("rebuilt", self.ctl("repair", "--rebuild-derived", data=data))
        self.assertEqual(json.loads(self.ctl("--json", "fsck", "--all", data=data))["problem_count"], 0)
        self.ctl("checkpoint", self.path("copy"), data=data)

    def test_an_account_has_a_password_unless_it_is_said(self):
        for line in ("\n", "", "short\n"):
            self.assertIn("a password has 8 to 72 bytes", self.ctl("user", "add", "keyed", stdin=line, code=2))
            self.assertIn("a password has 8 to 72 bytes", self.ctl("user", "add", "keyed", "--password-stdin", stdin=line, code=2))
        self.assertNotIn("keyed", self.ctl("user", "list"))
        self.ctl("user", "add", "keyed", "--no-password", "--password-stdin", stdin=PASSWORD + "\n", code=2)
        self.ctl("user", "add", "keyed", "--no-password")
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", self.path("keyed-key")], check=True)
        self.ctl("key", "add", "keyed", self.path("keyed-key.pub"))
        self.assertEqual(self.ssh("whoami", user="keyed").stdout, "keyed\n")
        self.assertIn("Authentication failed", git("ls-remote", self.url("demo/one", "keyed"), check=False).stderr)

    def test_what_is_written_at_rest_is_for_its_user_only(self):
        data, copy = self.path("closed"), self.path("closed-copy")
        before = os.umask(0o022)
        try:
            self.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n", data=data)
            self.ctl("repo", "create", "demo/x", data=data)
            self.ctl("import", "demo/x", self.work + "/.git", data=data)
            self.ctl("checkpoint", copy, data=data)
        finally:
            os.umask(before)
        made = [data, copy] + [os.path.join(place, name) for top in (data, copy) for place, directories, files in os.walk(top) for name in directories + files]
        self.assertGreater(len(made), 10)
        self.assertEqual([path for path in made if os.stat(path).st_mode & 0o077], [])
        if os.geteuid() != 0:
            return
        os.chown(data + "/store", 65534, -1)  # its server could not read what root writes
        self.assertIn("belongs to user nobody", self.ctl("user", "list", data=data, code=1))

    def test_a_wrong_directory_becomes_no_store(self):
        data = self.path("mistyped")
        refs = ("refs", "demo/x")
        for command in (("repo", "list"), ("fsck", "--all"), ("stats",), ("journal",), refs, ("user", "list"), ("user", "passwd", "demo"), ("maintenance", "run"), ("maintenance", "status"),
                        ("checkpoint", self.path("mistyped-copy")), ("export", "demo/x", self.path("mistyped-bundle")), ("import", "demo/x", self.work + "/.git"),
                        ("archive", "drill", "--scratch", self.path("mistyped-scratch")), ("repair", "--rebuild-derived")):
            self.assertIn(f"no store at {data}/store", self.ctl(*command, data=data, code=3))
        self.assertFalse(os.path.exists(data))
        self.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n", data=data)
        self.assertIn("nothing was restored", self.ctl("archive", "drill", "--scratch", self.path("mistyped-scratch"), data=data, code=1))
        self.ctl("repo", "create", "demo/x", data=data)
        self.ctl("archive", "drill", "--scratch", self.path("mistyped-scratch"), data=data)

    def test_commands_of_users(self):
        self.assertIn("repo create", self.ssh("help").stdout)
        self.assertEqual(self.ssh("whoami").stdout, "demo\n")
        self.ssh("repo", "create", "demo/mine", "--public")
        self.assertIn("demo/mine", self.ssh("repo", "list", user="other").stdout)
        self.assertIn("your repositories are named", self.ssh("repo create other/stolen", check=False).stderr)
        for command in ("repo delete demo/mine", "grant demo/mine other write", "protect demo/mine main"):
            self.assertIn("only the owner", self.ssh(command, user="other", check=False).stderr)
        self.ctl("repo", "create", "demo/secret")
        secret = self.ssh("repo describe demo/secret", user="other", check=False).stderr
        missing = self.ssh("repo describe demo/nothing", user="other", check=False).stderr
        self.assertEqual(secret, missing)
        self.assertIn("unknown command", self.ssh("repo set demo/mine copies local", check=False).stderr)  # an operator's
        self.ssh("grant", "demo/mine", "other", "write")
        git("push", "-q", self.url("demo/mine", "other"), "main", cwd=self.work)
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", self.path("second-key")], check=True)
        with open(self.path("second-key.pub")) as key:
            self.assertIn("added SHA256:", self.ssh("key", "add", stdin=key.read()).stdout)
        self.assertEqual(self.ssh("whoami", user="second").stdout, "demo\n")
        fingerprint = self.ssh("key", "list").stdout.split("\n")[2].split()[0]
        self.assertIn("no key with that", self.ssh("key", "remove", fingerprint, user="other", check=False).stderr)
        self.assertIn("help", self.ssh("rm -rf /", check=False).stderr)

    def test_openssh_mode(self):
        if os.geteuid() != 0 or not os.path.exists("/usr/sbin/sshd"):
            self.skipTest("needs root and an OpenSSH server")
        os.makedirs("/run/sshd", exist_ok=True)
        # AuthorizedKeysCommand must be owned by root in directories that only root writes to.
        safe = tempfile.mkdtemp(prefix="vexor-sshd-", dir="/opt")
        self.addCleanup(shutil.rmtree, safe)
        os.chmod(safe, 0o755)
        shutil.copy(f"{BINARIES}/vexor-shell", safe + "/vexor-shell")
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", self.path("host")], check=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        me = pwd.getpwuid(os.geteuid()).pw_name
        with open(self.path("sshd_config"), "w") as out:
            out.write(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {self.path('host')}\nPidFile none\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n"
                      f"AuthorizedKeysFile none\nAcceptEnv GIT_PROTOCOL\nStrictModes no\n"
                      f"AuthorizedKeysCommand {safe}/vexor-shell --socket {self.ready['admin']} keys %t %k\nAuthorizedKeysCommandUser {me}\n")
        sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", self.path("sshd_config")], stderr=subprocess.PIPE, text=True)
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            self.ctl("repo", "create", "demo/openssh")
            options = ("-l", me)
            self.assertEqual(self.ssh("whoami", port=port, options=options).stdout, "demo\n")
            self.assertNotEqual(self.ssh("whoami", user="second", port=port, options=options, check=False).stdout, "root\n")
            url = f"ssh://{me}@127.0.0.1:{port}/demo/openssh.git"
            command = (f"ssh -F none -i {self.path('demo-key')} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o BatchMode=yes "
                       "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentityAgent=none")
            git("push", "-q", "--mirror", url, cwd=self.work, GIT_SSH_COMMAND=command)
            for protocol in (0, 2):
                clone = self.path(f"openssh-{protocol}")
                git("clone", "-q", "--mirror", url, clone, protocol=protocol, GIT_SSH_COMMAND=command)
                self.assertEqual(refs(clone), refs(self.work))
                git("fsck", "--full", "--strict", cwd=clone)
            stolen = git("ls-remote", url.replace("openssh", "secret2"), check=False, GIT_SSH_COMMAND=command)
            self.assertIn("repository not found", stolen.stderr)
            self.assertTrue(any(line.get("transport") == "openssh" and line.get("peer") == "127.0.0.1" for line in self.logged("request")))
            logins = [line for line in self.logged("login") if line["transport"] == "openssh"]
            self.assertIn(("127.0.0.1", "demo", "ok"), [(line["peer"], line["user"], line["outcome"]) for line in logins])
            before = len(logins)
            subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", self.path("stranger-key")], check=True)
            self.assertEqual(self.ssh("whoami", user="stranger", port=port, options=options, check=False).returncode, 255)
            self.assertIn(("", "", "wrong"), [(line["peer"], line["user"], line["outcome"]) for line in self.logged("login") if line["transport"] == "openssh"][before:])
        finally:
            sshd.terminate()
            sshd.wait(timeout=10)
            sshd.stderr.close()

    def test_health_and_metrics(self):
        base = "http://" + self.ready["monitor"]
        with urllib.request.urlopen(base + "/healthz", timeout=10) as answer:
            first, told = answer.read().decode().splitlines()
        self.assertEqual((first, json.loads(told)), ("ok", {"version": self.ready["version"]}))
        for program in ("vexord", "vexor-replicad", "vexorctl", "vexor-shell"):
            said = subprocess.run([f"{BINARIES}/{program}", "--version"], capture_output=True, text=True, timeout=20)
            self.assertEqual((said.returncode, said.stdout), (0, f"{program} {self.ready['version']}\n"))
        self.assertRegex(self.ready["version"], r"^\d+\.\d+\.\d+$")
        self.ctl("repo", "create", "demo/counted")
        git("ls-remote", self.url("demo/counted"))
        with urllib.request.urlopen(base + "/metrics", timeout=10) as answer:
            text = answer.read().decode()
        self.assertIn('vexor_requests_total{command="upload-pack",outcome="ok",transport="https"}', text)
        self.assertIn("vexor_journal_sequence", text)
        self.assertIn(f'vexor_build_info{{version="{self.ready["version"]}"}} 1\n', text)
        for kind in ("collision", "corrupt", "log_failed", "divergence", "record_unsound"):  # increase() misses a series that begins with 1
            self.assertIn(f'vexor_alarms_total{{kind="{kind}"}} 0\n', text)
        ends = float(re.search(r'vexor_certificate_end_time_seconds{for="https"} (\S+)\n', text)[1])
        self.assertAlmostEqual((ends - time.time()) / 86400, 825, delta=2)
        self.assertIn("vexor_maintenance_running 0", text)
        self.assertIn('vexor_maintenance_done{figure="objects_swept"}', text)
        self.assertIn('vexor_logins_total{outcome="ok",transport="https"}', text)
        with self.assertRaises(urllib.error.HTTPError):
            urllib.request.urlopen(base + "/nothing", timeout=10)

    def test_the_log_tells_who_logged_in_and_what_an_operator_did(self):
        def logins(transport):
            return [(line["peer"], line["user"], line["outcome"]) for line in self.logged("login") if line["transport"] == transport]

        before = len(logins("ssh"))
        self.ssh("whoami")
        self.assertEqual(logins("ssh")[before:], [("127.0.0.1", "demo", "ok")])
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", self.path("nobody-key")], check=True)
        self.assertEqual(self.ssh("whoami", user="nobody", check=False).returncode, 255)
        for _ in range(50):
            if len(logins("ssh")) > before + 1:
                break
            time.sleep(0.1)
        self.assertEqual(logins("ssh")[before + 1:], [("127.0.0.1", "", "wrong")])
        self.ctl("repo", "create", "demo/audited")
        before = len(logins("https"))
        for user, password in (("demo", "planted-guess"), ("planted-name", PASSWORD), ("demo", PASSWORD)):
            git("ls-remote", f"https://{user}:{password.replace(' ', '%20')}@{self.ready['https']}/demo/audited.git", check=False)
        self.assertEqual(logins("https")[before:], [("127.0.0.1", "demo", "wrong"), ("127.0.0.1", "", "wrong")])
        with open(self.path("log")) as log:
            self.assertNotIn("planted-", log.read())
        with urllib.request.urlopen("http://" + self.ready["monitor"] + "/metrics", timeout=10) as answer:
            text = answer.read().decode()
        for labels in ('outcome="ok",transport="ssh"', 'outcome="wrong",transport="ssh"', 'outcome="wrong",transport="https"'):
            self.assertIn("vexor_logins_total{" + labels + "}", text)
        before = len(self.logged("admin"))
        self.ctl("repo", "create", "demo/audited", code=4)
        self.ctl("grant", "demo/audited", "other", "read")
        self.ctl("user", "passwd", "second", "--password-stdin", stdin=PASSWORD + "\n")
        self.ctl("import", "demo/audited", self.work + "/.git")
        lines = [(line["op"], line["uid"], line["subject"], line["result"]) for line in self.logged("admin")[before:]]
        me = os.geteuid()
        self.assertEqual(lines[:3], [("repo.create", me, "demo/audited", "conflict"), ("grant", me, "demo/audited other", "ok"), ("user.passwd", me, "second", "ok")])
        self.assertEqual(lines[-1], ("import", me, "demo/audited", "ok"))
        told = {line["op"]: line["arguments"] for line in self.logged("admin")[before:]}
        self.assertEqual(json.loads(told["grant"]), {"permission": "read"})
        self.assertEqual(told["user.passwd"], "")

    def test_maintenance_of_a_repository_in_use(self):
        self.ctl("repo", "create", "demo/kept")
        work = self.path("kept-work")
        git("clone", "-q", self.work, work)
        url = self.url("demo/kept")
        for i in range(12):
            commit(work, "file", "".join(f"line {n} of version {max(i, n % 7)}\n" for n in range(400)))
            git("push", "-q", url, "HEAD:refs/heads/main", cwd=work)
        git("checkout", "-q", "-b", "side", cwd=work)
        commit(work, "secret", "to be taken away\n" * 50)
        lost = git("rev-parse", "HEAD", cwd=work).stdout.strip()
        git("push", "-q", url, "side", cwd=work)
        git("push", "-q", url, ":side", cwd=work)
        before = self.path("kept-before")
        git("clone", "-q", "--mirror", url, before)
        self.ctl("maintenance", "run", "--what", "merge,polish", code=2)
        merged = json.loads(self.ctl("--json", "maintenance", "run", "demo/kept", "--what", "merge"))["fields"]
        self.assertGreater(merged["extents_merged"], 5)
        done = json.loads(self.ctl("--json", "maintenance", "run", "demo/kept", "--what", "sweep,redelta,merge", "--retention-seconds", "0"))["fields"]
        self.assertEqual((done["pools"], done["objects_swept"]), (1, 3))
        self.assertGreater(done["objects_redeltaed"], 5)
        after = self.path("kept-after")
        git("clone", "-q", "--mirror", url, after)
        self.assertEqual(refs(after), refs(before))
        self.assertEqual(objects(after), objects(before))
        git("fsck", "--full", "--strict", cwd=after)
        self.ctl("fsck", "demo/kept")
        self.assertNotEqual(git("fetch", "-q", url, lost, cwd=after, check=False).returncode, 0)
        commit(work, "file", "and on\n")
        git("push", "-q", url, "side", cwd=work)
        status = json.loads(self.ctl("--json", "maintenance", "status"))["fields"]
        self.assertFalse(status["running"])
        self.assertGreaterEqual(status["objects_swept"], 3)
        self.ctl("maintenance", "run")
        self.ctl("fsck", "--all")

    def test_a_frozen_repository_serves_and_takes_pushes(self):
        self.ctl("repo", "create", "demo/cold")
        work, url = self.path("cold-work"), self.url("demo/cold")
        git("clone", "-q", self.work, work)
        for i in range(8):
            commit(work, "file", "".join(f"line {n} of version {max(i, n % 7)}\n" for n in range(400)))
        git("push", "-q", url, "HEAD:refs/heads/main", cwd=work)
        before = self.path("cold-before")
        git("clone", "-q", "--mirror", url, before)
        frozen = json.loads(self.ctl("--json", "maintenance", "run", "demo/cold", "--what", "freeze"))["fields"]
        self.assertGreater(frozen["objects_frozen"], 20)
        self.assertGreater(json.loads(self.ctl("--json", "repo", "describe", "demo/cold"))["fields"]["cold_extents"], 0)
        after = self.path("cold-after")
        git("clone", "-q", "--mirror", url, after)
        self.assertEqual(refs(after), refs(before))
        self.assertEqual(objects(after), objects(before))
        git("fsck", "--full", "--strict", cwd=after)
        for depth in ("--depth=2", "--filter=blob:none"):
            partial = self.path("cold-partial" + depth.strip("-").replace("=", "-").replace(":", "-"))
            git("clone", "-q", "--no-checkout", depth, url, partial)
        commit(work, "file", "and on\n")
        git("push", "-q", url, "HEAD:refs/heads/main", cwd=work)
        git("fetch", "-q", url, "main", cwd=after)
        self.ctl("fsck", "demo/cold")
        thawed = json.loads(self.ctl("--json", "maintenance", "run", "demo/cold", "--what", "thaw"))["fields"]
        self.assertGreater(thawed["objects_thawed"], 20)
        self.assertEqual(json.loads(self.ctl("--json", "repo", "describe", "demo/cold"))["fields"]["cold_extents"], 0)
        self.ctl("fsck", "demo/cold")

    def test_files_are_for_the_server_only(self):
        self.ctl("repo", "create", "demo/closed")
        git("push", "-q", self.url("demo/closed"), "main", cwd=self.work)
        seen = 0
        for directory, _, names in os.walk(self.data):
            for path in [directory] + [os.path.join(directory, name) for name in names]:
                self.assertEqual(os.lstat(path).st_mode & 0o077, 0, path)
                seen += 1
        self.assertGreater(seen, 10)

    def test_what_was_left_open_is_closed_and_sshd_s_user_reaches_the_socket(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        data = self.path("deep/er/data")
        for name in ("store", "tmp", "copy-in", "copy-out"):
            os.makedirs(os.path.join(data, name))
            os.chmod(os.path.join(data, name), 0o777)
        new = self.path("new/er/data")  # the directories above are made by the server

        def modes(where):
            return {name: os.stat(os.path.join(where, name)).st_mode & 0o777 for name in os.listdir(where)}

        for where in (data, new):
            config = self.path("shell.toml")
            with open(config, "w") as out:
                out.write(f'[server]\ndata = "{where}"\n[https]\nlisten = ""\n[admin]\nshell_user = "nobody"\n')
            server = subprocess.Popen([f"{BINARIES}/vexord", "--config", config], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                admin = json.loads(server.stdout.readline())["admin"]
                for name, mode in modes(where).items():
                    self.assertEqual(mode, 0o666 if name == "vexord.sock" else 0o700, name)
                self.assertEqual(os.stat(where).st_mode & 0o777, 0o711)
                program = f"import os, socket; socket.socket(socket.AF_UNIX).connect({admin!r}); os.listdir({where!r})"
                asked = subprocess.run(["/usr/bin/python3", "-c", program], user="nobody", capture_output=True, text=True, timeout=20, cwd="/")
                self.assertIn("PermissionError", asked.stderr)
                self.assertIn(where, asked.stderr)  # of listdir: the socket was reached
            finally:
                server.terminate()
                server.wait(timeout=20)
                server.stdout.close()

    def test_clients_that_stand_still_do_not_hold_up_the_end(self):
        data, source = self.path("still"), self.path("still-source")
        git("init", "-q", source)
        with open(os.path.join(source, "blob"), "wb") as out:
            out.write(os.urandom(4 << 20))
        git("add", "-A", cwd=source)
        git("commit", "-q", "-m", "random", cwd=source)
        self.ctl("user", "add", "demo", "--password-stdin", stdin=PASSWORD + "\n", data=data)
        self.ctl("repo", "create", "demo/x", data=data)
        self.ctl("import", "demo/x", source + "/.git", data=data)
        server = subprocess.Popen([f"{BINARIES}/vexord", "--data", data, "--https", "127.0.0.1:0", "--drain-seconds", "1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        admin = json.loads(server.stdout.readline())["admin"]

        def connect():
            client = socket.socket(socket.AF_UNIX)
            client.connect(admin)
            return client

        def send(client, message, descriptors):
            body = json.dumps(message).encode()
            socket.send_fds(client, [len(body).to_bytes(4, "big")], descriptors)
            client.sendall(body)

        silent, half, exporter, typist = (connect() for _ in range(4))
        half.sendall(b"\0\0\1\0{")
        reading, writing = os.pipe()
        send(exporter, {"op": "export", "repository": "demo/x"}, [writing] * 3)  # nobody reads
        send(typist, {"op": "ssh.serve", "user": "demo", "command": "key add", "git_protocol": "", "peer": ""}, [reading, writing, writing])  # nobody types
        self.assertTrue(select.select([reading], [], [], 60)[0])  # it exports
        time.sleep(0.5)
        begun = time.monotonic()
        server.terminate()
        self.assertEqual(server.wait(timeout=120), 0)
        self.assertLess(time.monotonic() - begun, 60)  # idle_seconds_max is 600
        answer = b""
        while piece := exporter.recv(4096):
            answer += piece
        self.assertIn(b"the server ends", answer)
        for client in (silent, half, exporter, typist):
            client.close()
        os.close(reading)
        os.close(writing)
        server.stdout.close()

    def test_a_lost_end_of_the_log_is_told_at_the_start(self):
        """RocksDB opens a store without the end of its write-ahead log and says nothing."""
        data = self.path("lossy")
        command = [f"{BINARIES}/vexord", "--data", data, "--https", "127.0.0.1:0"]

        def start():
            server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            return server, server.stdout.readline()

        def end(server):
            server.kill()
            return server.communicate(timeout=30)[1]

        server, ready = start()
        socket_path = json.loads(ready)["admin"]
        subprocess.run([f"{BINARIES}/vexorctl", "--socket", socket_path, "user", "add", "demo", "--password-stdin"], input=PASSWORD + "\n", capture_output=True, text=True, check=True)
        store = os.path.join(data, "store")
        with open(os.path.join(store, "vexor-mark"), "rb") as mark:
            for _ in range(2):  # it is written each second; what is written the second time from now knows of the account
                mark.seek(0)
                before, now, until = mark.read(), None, time.monotonic() + 60
                while now is None or now == before:
                    self.assertLess(time.monotonic(), until)
                    time.sleep(0.05)
                    mark.seek(0)
                    now = mark.read()
        end(server)
        for name in os.listdir(store):
            if name.endswith(".log"):
                os.truncate(os.path.join(store, name), 0)
        server, ready = start()
        told = end(server)
        self.assertEqual(ready, "", "it started without what was acknowledged")
        self.assertIn("the end of the log is lost", told)
        os.remove(os.path.join(store, "vexor-mark"))
        server, ready = start()
        self.assertTrue(ready)
        end(server)

    def test_configuration_mistakes_are_told_with_their_line(self):
        def check(text):
            path = self.path("bad.toml")
            with open(path, "w") as out:
                out.write(text)
            done = subprocess.run([f"{BINARIES}/vexord", "--config", path, "--check-config"], capture_output=True, text=True, timeout=20)
            return done.returncode, done.stdout + done.stderr

        head = '[server]\ndata = "x"\n'
        self.assertEqual(check(head), (0, "the configuration is good\n"))
        for text, expected in ((head + "[https]\nport = 1\n", "bad.toml:4: unknown key https.port"), (head + "[web]\na = 1\n", "bad.toml:3: unknown section"),
                               (head + '[limits]\nwants_max = "many"\n', "bad.toml:4: limits.wants_max must be a whole number"),
                               (head + "[limits]\nwants_max = 0\n", "at least 1"), (head + "[limits]\nwants_max = 99999999999\n", "too large"),
                               (head + '[https]\nlisten = "nowhere"\n', "https.listen takes ADDRESS:PORT"),
                               (head + '[replication]\nnode = 1\nlisten = "127.0.0.1:1"\netcd = "127.0.0.1:2"\nca_file = "/a"\ncertificate_file = "/b"\nkey_file = "/c"\n', "no certificate can be read from /b"),
                               (head + '[maintenance]\ntasks = "sweep,dust"\n', "maintenance.tasks: unknown task: dust"), (head + "[[[\n", "bad.toml:3:"), ("", "no data directory")):
            code, said = check(text)
            self.assertEqual(code, 2, text)
            self.assertIn(expected, said)
        printed = subprocess.run([f"{BINARIES}/vexord", "--print-config"], capture_output=True, text=True, timeout=20).stdout
        self.assertEqual(check(printed.replace('data = ""', 'data = "x"'))[0], 0)

    def test_push_options_have_limits(self):
        self.ctl("repo", "create", "demo/options")
        git("push", "-q", "-o", "a", "-o", "b\x01c", self.url("demo/options"), "main", cwd=self.work)
        refused = git("push", "-o", "1", "-o", "2", "-o", "3", "-o", "4", self.url("demo/options"), "main:more", cwd=self.work, check=False)
        self.assertIn("too many or too long push options", refused.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)
