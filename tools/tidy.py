#!/usr/bin/env python3
"""Checks the tree's rules; run as a test. Usage: tidy.py ROOT"""
import pathlib, re, sys

ROOT = pathlib.Path(sys.argv[1])
RANK = {"base": 0, "format": 1, "compress": 1, "crypto": 1, "backend": 2, "store": 3, "pack": 4, "protocol": 5, "maintenance": 5}
THIRD_PARTY = {  # header prefix -> the only folders that may see it
    "rocksdb/": ["libvexorstore/src/backend/rocksdb"], "git2": ["libvexorstore/src/crypto", "libvexorstore/src/git2", "libvexorstore/include/vexorstore/git2", "examples", "tests"],
    "sodium.h": ["libvexorstore/src/crypto", "libvexorstore/src/store/accounts.cc"], "libssh/": ["frontends/ssh"],
    "roaring/": ["libvexorstore/src/store", "libvexorstore/src/pack", "libvexorstore/src/maintenance"], "libdeflate.h": ["libvexorstore/src/compress"],
    "crypt.h": ["libvexorstore/src/store/accounts.cc"], "boost/asio": ["frontends"], "boost/beast": ["frontends"],
    "openssl/": ["libvexorstore/src/crypto", "libvexorstore/src/store/keys.cc", "frontends/https"],
}
BANNED = [  # pattern, allowed in, instead
    (r"\bstd::thread\b", ["frontends/", "tests/"], "threads live at the edge"),
    (r"system_clock::now|steady_clock::now", ["libvexorstore/src/base/", "frontends/", "tests/"], "take a sys::Clock"),
    (r"\brand\(\)|\bgetenv\(|\bsystem\(|\bpopen\(", ["examples/", "frontends/apps/vexor-shell.cc", "tests/"], "no ambient input, no subprocess"),
    (r"\bco_await\b", ["frontends/", "replication/transport/"], "coroutines live at the edge"),
    (r"co_await[^;]*\[[&=\w, ]*\]\s*(\(|\{)", [], "name the closure before the co_await (GCC 12 frees it twice)"),
    (r"\bTODO\b|\bFIXME\b", [], "decide, or open an issue"),
]
LINES_MAX = 700
problems = []


def complain(path, line, text):
    problems.append(f"{path}:{line}: {text}")


def check_source(path, text):
    lines = text.splitlines()
    if len(lines) > LINES_MAX:
        complain(path, 1, f"{len(lines)} lines, over {LINES_MAX}: divide it")
    room = path.split("/")[2] if path.startswith("libvexorstore/src/") else None
    for number, line in enumerate(lines, 1):
        include = re.match(r'#include ([<"])([^>"]+)', line)
        if include:
            name = include[2]
            for prefix, folders in THIRD_PARTY.items():
                if include[1] == "<" and name.startswith(prefix) and not any(path.startswith(f) for f in folders) and not path.startswith("tests/"):
                    complain(path, number, f"{name} may be seen only in {', '.join(folders)}")
            target = name.split("/")[0]
            if include[1] == '"' and room in RANK and target in RANK and target != room and RANK[target] >= RANK[room]:
                complain(path, number, f"{room} may not include {target}")
            if path.startswith("frontends/") and include[1] == '"' and target in RANK:
                complain(path, number, "frontends see the public headers only")
            if path.startswith("libvexorstore/include/") and include[1] == '"' and target != "vexorstore":
                complain(path, number, "public headers include public headers only")
        for pattern, allowed, instead in BANNED:
            if re.search(pattern, line) and not any(path.startswith(a) for a in allowed):
                complain(path, number, f"{pattern}: {instead}")


def check_links(path, text):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        if not (ROOT / path).parent.joinpath(target).exists():
            complain(path, 1, f"dead link {target}")
    if len(re.findall(r"^# ", re.sub(r"```.*?```", "", text, flags=re.S), flags=re.M)) != 1:
        complain(path, 1, "a document has one H1")


for file in sorted(ROOT.rglob("*")):
    path = file.relative_to(ROOT).as_posix()
    if not file.is_file() or path.startswith(("build/", ".git/", "var/")) or path == "tools/tidy.py":
        continue
    if file.suffix in (".cc", ".h"):
        check_source(path, file.read_text())
    elif file.suffix == ".md":
        check_links(path, file.read_text())
if not (ROOT / "libvexorstore").is_dir():
    problems.append("nothing to check: not the project's root")
print("\n".join(problems) or "the tree is tidy")
sys.exit(bool(problems))
