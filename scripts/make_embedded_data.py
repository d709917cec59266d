"""Install the images that ship with the package, or check the installed ones.

    python scripts/make_embedded_data.py --data FOLDER
    python scripts/make_embedded_data.py --check

FOLDER holds Fashion-MNIST's idx files (Debian's package dataset-fashion-mnist puts them in
/usr/share/datasets/fashion-mnist). Its two test files are copied unchanged, if their content equals what this library has
always shipped: every published number depends on these images.
"""

import argparse
from pathlib import Path

from sparring.data import embedded
from sparring.errors import SparringError
from sparring.files import write_atomically

FILES = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


def check(folder: Path) -> None:
    """Print the fingerprint of each split of the files in `folder`. Raises SparringError if one has changed."""
    for split, expected in embedded.FINGERPRINTS.items():
        found = embedded.load_embedded(split, folder).fingerprint
        if found != expected:
            raise SparringError(f"{split}: wrong images: fingerprint {found} instead of {expected}")
        print(f"{split}: {found}, as expected")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, help="folder with Fashion-MNIST's idx files, gzipped")
    what.add_argument("--check", action="store_true", help="only check the installed files")
    parser.add_argument("--out", type=Path, default=embedded.FOLDER, help="target folder (default: the package)")
    arguments = parser.parse_args()
    try:
        check(arguments.data or arguments.out)
        for name in FILES if arguments.data else ():
            write_atomically(arguments.out / name, (arguments.data / name).read_bytes())
            print(f"wrote {arguments.out / name}")
    except SparringError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
