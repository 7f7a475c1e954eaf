#!/usr/bin/env python3
"""Installs the package into an empty prefix, builds examples/embed against it as an outside project,
and lets real git push to it and clone from it.
Usage: package_test.py SOURCE BUILD COMPILER [SANITIZERS]."""
import os, shutil, subprocess, sys, tempfile, unittest

SOURCE, BUILD, COMPILER = sys.argv[1:4]
SANITIZE = [f"-DCMAKE_CXX_FLAGS=-fsanitize={sys.argv[4]}"] if len(sys.argv) > 4 and sys.argv[4] else []
del sys.argv[1:]


def run(*command, cwd=None, **env):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=800, env=dict(os.environ, **env))
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="vexor-package-")
        cls.prefix = cls.path("prefix")
        run("cmake", "--install", BUILD, "--prefix", cls.prefix)
        run("cmake", "-G", "Ninja", "-S", f"{SOURCE}/examples/embed", "-B", cls.path("build"), f"-DCMAKE_PREFIX_PATH={cls.prefix}",
            f"-DCMAKE_CXX_COMPILER={COMPILER}", "-DCMAKE_BUILD_TYPE=Release", *SANITIZE)
        run("cmake", "--build", cls.path("build"), "-j2")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.directory, name)

    def git(self, *args, cwd=None):
        return run("git", "-c", "protocol.ext.allow=always", "-c", "user.name=A", "-c", "user.email=a@b", *args, cwd=cwd, HOME=self.directory)

    def test_the_example_serves_git(self):
        url = f"ext::{self.path('build')}/embed {self.path('store')} %S demo/hello"
        work, again = self.path("work"), self.path("again")
        self.git("clone", "-q", url, work)
        with open(os.path.join(work, "README")) as readme:
            self.assertEqual(readme.read(), "Hello from an embedded store.\n")
        with open(os.path.join(work, "more"), "w") as out:
            out.write("more\n")
        self.git("add", "more", cwd=work)
        self.git("commit", "-q", "-m", "second", cwd=work)
        self.git("push", "-q", "origin", "main", cwd=work)
        self.git("clone", "-q", url, again)
        self.git("fsck", "--full", "--strict", cwd=again)
        self.assertEqual(self.git("rev-parse", "HEAD", cwd=again), self.git("rev-parse", "HEAD", cwd=work))
        listed = run(f"{self.path('build')}/git2_log", self.path("store"), "demo/hello").splitlines()
        self.assertEqual([line.split(" ", 1)[1] for line in listed], ["2 files 35 bytes second", "1 files 30 bytes First commit"])
        self.assertEqual([line.split()[0] for line in listed], self.git("rev-list", "HEAD", cwd=work).split())

    def test_pkg_config_links(self):
        if SANITIZE:
            self.skipTest("sanitizer flags are not part of the package")
        config = next(os.path.join(root, "") for root, _, files in os.walk(self.prefix) if "vexorstore.pc" in files)
        flags = run("pkg-config", "--cflags", "--libs", "vexorstore", PKG_CONFIG_PATH=config).split()
        program = self.path("embed-pc")
        run(COMPILER, f"{SOURCE}/examples/embed/embed.cc", "-o", program, *flags)
        self.assertEqual(subprocess.run([program], capture_output=True, timeout=60).returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=1)
