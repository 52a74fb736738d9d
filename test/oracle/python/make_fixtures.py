"""
Makes the fixtures from JAX and PyTorch, both in float64 on the CPU, and from mpmath.

    python3 -m venv /tmp/oracle
    /tmp/oracle/bin/pip install -r test/oracle/python/requirements.txt
    /tmp/oracle/bin/python test/oracle/python/make_fixtures.py

It takes some minutes. What a peer refuses to compute is listed at the end.
"""

import pathlib
import sys
import warnings

from measure import dump, missing, record, versions

import elementwise
import programs
import structured

folder = pathlib.Path(__file__).parent.parent / "fixtures"


def write(name: str, cases) -> None:
    """One case in a line, so that a change of one is a change of one line."""
    lines = [dump(record(case, peers)) for case, peers in cases]
    header = dump(versions)
    text = '{"versions":%s,"cases":[\n%s\n]}\n' % (header, ",\n".join(lines))
    (folder / f"{name}.json").write_text(text)
    print(f"{name}: {len(lines)} cases, {len(text) / 1e3:.0f} kB")


def main() -> None:
    warnings.simplefilter("ignore")
    folder.mkdir(exist_ok=True)
    families = {"elementwise": elementwise.cases, "structured": structured.cases, "programs": programs.cases}
    for name, cases in families.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            write(name, cases())
    for what in missing:
        print("not had:", *what)


if __name__ == "__main__":
    main()
