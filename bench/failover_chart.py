#!/usr/bin/env python3
"""Draws the lines of bench/failover --out as an SVG: a row for each kind of fault and figure, a dot for each round.

    bench/failover_chart.py FILE.jsonl > chart.svg      the last line of each kind"""
import argparse, json, math
from xml.sax.saxutils import escape

LEFT, RIGHT, TOP, ROW, WIDTH = 250, 30, 70, 34, 980
FIGURES = (("led", "another leads"), ("first_push", "first push"), ("first_read", "first read"), ("longest_push", "longest push"), ("longest_read", "longest read"))
TITLES = {"kill": "primary killed", "stop": "primary stopped", "handover": "planned hand-over", "partition": "primary cut off", "deaf": "primary deaf"}


def last_lines(path):
    kinds = {}
    with open(path) as source:
        for text in source:
            line = json.loads(text)
            if line.get("bench") == "failover":
                kinds[line["kind"]] = line
    if not kinds:
        raise SystemExit(f"{path} holds no line of bench/failover")
    return list(kinds.values())


def draw(lines):
    values = [max(value, 0.1) for line in lines for name, _ in FIGURES if name in line for value in line[name]["all_ms"]]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    height = TOP + ROW * len(FIGURES) * len(lines) + 40

    def x(value):
        return LEFT + (math.log10(max(value, 0.1)) - low) / max(1, high - low) * (WIDTH - LEFT - RIGHT)

    first = lines[0]
    under = f"{first['pushers']} pushers, {first['pushes_per_second']} pushes/s, {first['cores']} cores; lost {sum(line['lost'] for line in lines)}; commit {first['commit']}"
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>', '<text x="16" y="26" font-size="16" font-weight="bold">What clients notice of a change of the primary</text>',
           f'<text x="16" y="44" fill="#555555">{escape(under)}</text>']
    for exponent in range(low, high + 1):
        for step in (1, 2, 5) if exponent < high else (1,):
            at = x(step * 10.0**exponent)
            out.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 8}" y2="{height - 32}" stroke="#dddddd"/>')
            out.append(f'<text x="{at:.1f}" y="{height - 16}" text-anchor="middle" fill="#555555" font-size="10">{step * 10.0**exponent:g} ms</text>')
    y = TOP
    for line in lines:
        for name, title in FIGURES:
            if name not in line:
                continue
            figure = line[name]
            out.append(f'<text x="{LEFT - 12}" y="{y + 8}" text-anchor="end">{escape(TITLES.get(line["kind"], line["kind"]))}: {title}</text>')
            out.append(f'<text x="{LEFT - 12}" y="{y + 20}" text-anchor="end" fill="#777777" font-size="9.5">p50 {figure["p50_ms"]:.0f}, p99 {figure["p99_ms"]:.0f}, max {figure["max_ms"]:.0f} ms, {line["rounds"]} rounds</text>')
            out += [f'<circle cx="{x(value):.1f}" cy="{y + 4 + i % 5 * 3}" r="2.5" fill="#1f6f8b" fill-opacity="0.45"/>' for i, value in enumerate(figure["all_ms"])]
            at = x(figure["p50_ms"])
            out.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y - 3}" y2="{y + 23}" stroke="#e0a030" stroke-width="2"/>')
            y += ROW
    return "\n".join(out + ["</svg>"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures")
    print(draw(last_lines(parser.parse_args().figures)))


if __name__ == "__main__":
    main()
