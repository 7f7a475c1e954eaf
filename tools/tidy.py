#!/usr/bin/env python3
"""Checks the tree's rules; run as a test. Usage: tidy.py ROOT"""
import pathlib, re, sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import vectors

ROOT = pathlib.Path(sys.argv[1])
RANK = {"base": 0, "format": 1, "compress": 1, "crypto": 1, "backend": 2, "store": 3, "pack": 4, "protocol": 5, "maintenance": 5, "log": 6}
THIRD_PARTY = {  # header prefix -> the only folders that may see it
    "rocksdb/": ["libvexorstore/src/backend/rocksdb"], "git2": ["libvexorstore/src/git2", "libvexorstore/include/vexorstore/git2", "examples", "tests", "bench/micro"],
    "immintrin.h": ["libvexorstore/src/crypto"], "sodium.h": ["libvexorstore/src/crypto", "libvexorstore/src/store/accounts.cc"], "libssh/": ["frontends/ssh"],
    "roaring/": ["bench/micro", "libvexorstore/src/store", "libvexorstore/src/pack", "libvexorstore/src/maintenance"], "libdeflate.h": ["libvexorstore/src/compress"], "zstd.h": ["libvexorstore/src/compress"],
    "grpcpp/": ["replication/transport"], "google/protobuf": ["replication/transport"], "crypt.h": ["libvexorstore/src/store/accounts.cc"], "boost/asio": ["frontends"], "boost/beast": ["frontends"],
    "openssl/": ["libvexorstore/src/crypto", "libvexorstore/src/store/keys.cc", "frontends/https", "frontends/common/certificate.cc", "bench/load_client", "bench/micro"],
}
BANNED = [  # pattern, allowed in, instead
    (r"\bstd::thread\b", ["bench/load_client/", "frontends/", "replication/host/", "replication/transport/", "tests/"], "threads live at the edge"),
    (r"system_clock::now|steady_clock::now", ["libvexorstore/src/base/", "bench/load_client/", "frontends/", "replication/host/", "replication/transport/", "tests/"], "take a sys::Clock"),
    (r"\brand\(\)|\bgetenv\(|\bsystem\(|\bpopen\(", ["examples/", "frontends/apps/vexor-shell.cc", "tests/"], "no ambient input, no subprocess"),
    (r"\bco_await\b", ["frontends/", "replication/transport/"], "coroutines live at the edge"),
    (r"co_await[^;]*\[[&=\w, ]*\]\s*(\(|\{)", [], "name the closure before the co_await (GCC 12 frees it twice)"),
    (r"\bmemcpy\(", ["libvexorstore/include/vexorstore/object_id.h", "libvexorstore/src/crypto/", "libvexorstore/src/git2/", "libvexorstore/src/pack/", "libvexorstore/src/protocol/", "frontends/", "tests/"],
     "formats are read octet by octet"),
    (r"\breinterpret_cast\b", ["libvexorstore/src/base/", "libvexorstore/src/compress/", "libvexorstore/src/crypto/", "libvexorstore/src/git2/", "libvexorstore/src/store/keys.cc",
                                "bench/load_client/", "frontends/", "fuzz/", "tests/"], "casts are for foreign interfaces"),
    (r"\bthrow\b", ["tests/sim/", "tests/support/", "frontends/"], "return an Error"),
    (r"\bassert\(", [], "VEXOR_CHECK for our mistakes, Error for the peer's"),
    (r"\bstd::(cout|cerr|clog)\b", ["frontends/apps/", "examples/", "tests/", "fuzz/"], "the library does not print"),
    (r"\bTODO\b|\bFIXME\b", [], "decide, or open an issue"),
]
LINES_MAX = 700
PUBLIC_HEADER_LINES_MAX = 450
TEST_LINES_MAX = 1000
LINE_CHARS_MAX = 205  # the longest there is; aim at 120
VAGUE_NAMES = re.compile(r"(^|_)(manager|helper|util|utils|data|info|process)(_|\.)")
DECODER = re.compile(r"\b(decode|parse|apply|check)(_\w+)?\(|\bis_\w+\(Bytes")
LIMIT_STRUCTS = {  # header -> the structs whose numbers are in docs/limits.md
    "libvexorstore/include/vexorstore/limits.h": ["Limits"], "libvexorstore/include/vexorstore/sys/backends.h": ["RocksdbOptions"],
    "frontends/https/https_server.h": ["HttpsOptions"], "frontends/ssh/ssh_server.h": ["SshOptions"],
    "frontends/admin/admin_server.h": ["AdminOptions"], "frontends/monitor/monitor_server.h": ["MonitorOptions"],
}
problems = []


def complain(path, line, text):
    problems.append(f"{path}:{line}: {text}")


def check_source(path, text):
    lines = text.splitlines()
    lines_max = PUBLIC_HEADER_LINES_MAX if path.startswith("libvexorstore/include/") else TEST_LINES_MAX if path.startswith("tests/") else LINES_MAX
    if len(lines) > lines_max:
        complain(path, 1, f"{len(lines)} lines, over {lines_max}: divide it")
    if VAGUE_NAMES.search(path.split("/")[-1]):
        complain(path, 1, "a name that says nothing: manager, helper, util, data, info, process")
    if path.endswith(".h"):
        if not text.startswith("//"):
            complain(path, 1, "a header begins by saying what it is for")
        if "#pragma once\n" not in text:
            complain(path, 1, "no #pragma once")
        if re.search(r"^using namespace", text, flags=re.M):
            complain(path, 1, "no using namespace in a header")
    room = path.split("/")[2] if path.startswith("libvexorstore/src/") else None
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_CHARS_MAX:
            complain(path, number, f"{len(line)} characters in a line, over {LINE_CHARS_MAX}")
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
            if path.startswith("replication/") and include[1] == '"' and target not in ("replication", "vexorstore") and not target.endswith(".pb.h"):
                complain(path, number, "replication sees itself and the public headers only")
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


def check_text(path, text):
    if text and not text.endswith("\n"):
        complain(path, 1, "no line feed at the end")
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip() or "\t" in line:
            complain(path, number, "a tab, or blanks at the end of a line")
        if re.search(r"(?<![\w.])/(root|home/\w+|work)/", line):
            complain(path, number, "a path of one machine")


def check_formats():
    """Every format has a page, a unit test, and a fuzz target; examples in pages are test vectors."""
    pages = {page: page.read_text() for page in (ROOT / "docs/format").glob("*.md")}
    code = " ".join(" ".join(re.findall(r"^Code:.*?(?:\n\n|\Z)", text, flags=re.M | re.S)) for text in pages.values())
    tests = "\n".join(test.read_text() for test in (ROOT / "tests/unit").rglob("*.cc"))
    targets = "\n".join(target.read_text() for target in (ROOT / "fuzz/targets").glob("*.cc"))
    for header in sorted((ROOT / "libvexorstore/src/format").glob("*.h")):
        path, include = header.relative_to(ROOT).as_posix(), f'#include "format/{header.name}"'
        if f"format/{header.name}`" not in code:
            complain(path, 1, "no page of docs/format names it in its Code: line")
        if include not in tests:
            complain(path, 1, "no unit test includes it")
        if DECODER.search(header.read_text()) and include not in targets:
            complain(path, 1, "no fuzz target includes it")
    known = {data.hex() for file in (ROOT / "tests/data/vectors").glob("*.txt") for _, data in vectors.load(file)}
    for page, text in pages.items():
        for example in re.findall(r"^```hex\n(.*?)^```", text, flags=re.M | re.S):
            if re.sub(r"\s", "", example) not in known:
                complain(page.relative_to(ROOT).as_posix(), 1, f"no test vector is {example.strip()[:40]}...")


def check_limits():
    table = (ROOT / "docs/limits.md").read_text()
    for path, structs in LIMIT_STRUCTS.items():
        text = (ROOT / path).read_text()
        for struct in structs:
            body = re.search(rf"struct {struct} {{(.*?)^}};", text, flags=re.M | re.S)[1]
            for field in re.findall(r"^  (?:std::uint\d+_t|std::size_t|unsigned|int) (\w+)", body, flags=re.M):
                if field != "port" and f"`{field}`" not in table:
                    complain(path, 1, f"{struct}::{field} is not in docs/limits.md")


def check_dead_headers(sources):
    included = set(re.findall(r'#include ["<]([^">]+)[">]', "\n".join(sources.values())))
    for path in sources:
        if path.endswith(".h") and not any(f"/{path}".endswith(f"/{name}") for name in included):
            complain(path, 1, "nobody includes it")


sources = {}
for file in sorted(ROOT.rglob("*")):
    path = file.relative_to(ROOT).as_posix()
    if not file.is_file() or path.startswith(("build/", ".git/", "var/")) or path == "tools/tidy.py":
        continue
    if file.suffix in (".cc", ".h"):
        sources[path] = file.read_text()
        check_source(path, sources[path])
    elif file.suffix == ".md":
        check_links(path, file.read_text())
    if file.suffix in (".cc", ".h", ".md", ".py", ".txt", ".cmake", ".toml", ".json"):
        check_text(path, file.read_text())
check_formats()
check_limits()
check_dead_headers(sources)
if not (ROOT / "libvexorstore").is_dir():
    problems.append("nothing to check: not the project's root")
print("\n".join(problems) or "the tree is tidy")
sys.exit(bool(problems))
