#!/usr/bin/env python3
"""Writes the seeds of the corpora. They are committed; run this after changing a format.
Usage: make_corpus.py (in the fuzz directory)"""
import hashlib, os, zlib

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def write(target, name, data):
    os.makedirs(os.path.join(ROOT, target), exist_ok=True)
    with open(os.path.join(ROOT, target, name), "wb") as out:
        out.write(data if isinstance(data, bytes) else data.encode())


def pkt(line):
    line = line if isinstance(line, bytes) else line.encode()
    return b"%04x" % (len(line) + 4) + line


def object_id(kind, content):
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()


def header(kind, size):
    out, first = [], (kind << 4) | (size & 15)
    size >>= 4
    while size:
        out.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    return bytes(out + [first])


def pack(entries):
    body = b"PACK\0\0\0\2" + len(entries).to_bytes(4, "big") + b"".join(entries)
    return body + hashlib.sha1(body).digest()


# The repository of targets/session_fixture.h.
tips, trees, blobs, parent = [], [], [], None
for i in range(4):
    blob = b"content %d\n" % i
    blobs.append(object_id("blob", blob))
    tree = b"100644 f\0" + bytes.fromhex(blobs[-1])
    trees.append(object_id("tree", tree))
    who = f"A <a@b> {1700000000 + i} +0000\n"
    commit = f"tree {trees[-1]}\n" + (f"parent {parent}\n" if parent else "") + f"author {who}committer {who}\nm\n"
    parent = object_id("commit", commit.encode())
    tips.append(parent)
zero, tip = "0" * 40, tips[-1]

write("pkt_line", "mixed", pkt("hello\n") + b"000000010002" + pkt(b"\x01data"))
write("pack_entry", "pack", pack([header(3, 300) + zlib.compress(b"x" * 300)])[:12] + header(3, 300))
write("pack_entry", "ref", header(7, 20) + bytes(20))
write("pack_entry", "ofs", header(6, 9999) + b"\x81\x23")
write("delta", "copy", b"0123456789abcdef" + b"\x10\x08\x90\x04\x04wxyz")
write("object_check", "commit", f"tree {trees[0]}\nparent {tips[0]}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nm\n")
write("object_check", "tag", f"object {tip}\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n\nm\n")
write("object_check", "tree", b"100644 .gitmodules\0" + bytes(range(20)) + b"40000 d\0" + bytes(range(20)))
write("object_check", "modules", '[submodule "a\\"b"]\n\tpath = x\n\turl = "https://h/%0a" \\\n y ; c\n\tupdate = !x\n')
write("patterns", "sparse", "a/b/c.txt\n/a/\n!b?.txt\n**/c[a-z]*\nd/**/e\n\\#x\n")
write("patterns", "filter", "combine:tree:3+blob:limit=1k+sparse:oid=main:x")
write("patterns", "ref", "refs/heads/ma@{in.lock")
fetch = lambda *lines: pkt("command=fetch\n") + pkt("object-format=sha1\n") + b"0001" + b"".join(pkt(l + "\n") for l in lines) + b"0000"
for mode, name in ((2, "stream"), (6, "stateless")):
    first = bytes([mode])
    write("upload_pack", f"ls-{name}", first + pkt("command=ls-refs\n") + b"0001" + pkt("peel\n") + pkt("symrefs\n") + pkt("unborn\n") + pkt("ref-prefix refs/heads/\n") + b"0000")
    write("upload_pack", f"clone-{name}", first + fetch("want " + tip, "ofs-delta", "thin-pack", "include-tag", "done"))
    write("upload_pack", f"negotiate-{name}", first + fetch("want " + tip, "have " + tips[0], "have " + zero[:39] + "1") + fetch("want " + tip, "have " + tips[0], "done"))
    write("upload_pack", f"shallow-{name}", first + fetch("want " + tip, "shallow " + tips[2], "deepen 2", "deepen-relative", "done"))
    write("upload_pack", f"since-{name}", first + fetch("want " + tip, "deepen-since 1700000002", "deepen-not main", "sideband-all", "done"))
    write("upload_pack", f"filter-{name}", first + fetch("want " + tip, "filter combine:tree:1+blob:none", "done"))
    write("upload_pack", f"sparse-{name}", first + fetch("want " + tip, "filter sparse:oid=main:f", "wait-for-done", "done"))
    write("upload_pack", f"info-{name}", first + pkt("command=object-info\n") + b"0001" + pkt("size\n") + pkt("oid " + blobs[0] + "\n") + b"0000")
for mode in (0, 4, 1):
    write("upload_pack", f"old-{mode}", bytes([mode]) + pkt(f"want {tip} multi_ack_detailed no-done side-band-64k thin-pack ofs-delta deepen-since\n") + pkt("deepen 2\n") +
          b"0000" + pkt(f"have {tips[0]}\n") + b"0000" + pkt("done\n"))
new_blob = b"fuzz"
new_tree = b"100644 g\0" + bytes.fromhex(object_id("blob", new_blob))
new_commit = f"tree {object_id('tree', new_tree)}\nparent {tip}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nm\n".encode()
new_tip = object_id("commit", new_commit)
whole = pack([header(1, len(new_commit)) + zlib.compress(new_commit), header(2, len(new_tree)) + zlib.compress(new_tree), header(3, 4) + zlib.compress(new_blob)])
delta = b"\x0a\x0e\x90\x0a\x04more"
thin = pack([header(7, len(delta)) + bytes.fromhex(blobs[0]) + zlib.compress(delta)])
for mode in (0, 4):
    first = bytes([mode])
    write("receive_pack", f"push-{mode}", first + pkt(f"{zero} {new_tip} refs/heads/n\0 report-status-v2 side-band-64k atomic quiet object-format=sha1\n") + b"0000" + whole)
    write("receive_pack", f"delete-{mode}", first + pkt(f"{tip} {zero} refs/heads/gone\0 report-status delete-refs\n") + b"0000")
    write("receive_pack", f"options-{mode}", first + pkt(f"{zero} {tip} refs/heads/o\0 report-status push-options\n") + b"0000" + pkt("a=b") + b"0000" + pack([]))
    write("receive_pack", f"thin-{mode}", first + pkt(f"shallow {tips[1]}\n") + pkt(f"{zero} {tip} refs/heads/t\0 report-status\n") + b"0000" + thin)
