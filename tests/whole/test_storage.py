"""The commands about files: verify, gc, compact, archive and restore, and what a bit flip does to each."""

import io
import json
import os
import random
import re
import shutil
import tarfile
import zipfile

import pytest
from click.testing import CliRunner
from filelock import FileLock

from interdash.commands.main import commands
from interdash.pipeline import extract_and_label
from interdash.queries.sample import interactions
from interdash.queries.vectors import interaction_life
from interdash.runs.files import DamagedFileError, checksum_holds, with_checksum
from interdash.runs.parts import finished, pack_path, part_path, read_part, read_vectors
from interdash.runs.plan import plan
from interdash.runs.run import Run
from interdash.runs.state import state
from interdash.store.loading import seal
from interdash.upkeep import retention
from interdash.upkeep.archive import archive, restore
from interdash.upkeep.verify import verify
from tests.conftest import store_of


def command(*arguments):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def files_of(run):
    """Returns the content of every file of a run, by name, but locks."""
    return {
        path.relative_to(run.path).as_posix(): path.read_bytes()
        for path in run.path.rglob("*")
        if path.is_file() and path.suffix != ".lock" and path.name != ".lock"
    }


def flip(path, place, bit):
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def age(path, seconds=7200):
    for inner in (path, *path.rglob("*")):
        os.utime(inner, (inner.stat().st_mtime - seconds,) * 2)


def test_a_whole_run_is_whole(ready_run):
    found = verify(ready_run)
    assert found.ok and found.left_over == found.unverified == []
    said = command("verify", "tiny", "--root", ready_run.path.parent)
    assert said.exit_code == 0 and "tiny: whole" in said.output
    found = json.loads(command("verify", "--root", ready_run.path.parent, "--json").stdout)
    assert [(each["run"], each["ok"], each["damaged"]) for each in found] == [("tiny", True, [])]
    path = seal(ready_run, ready_run.path / "tiny.duckdb")
    assert verify(ready_run).ok
    flip(path, path.stat().st_size // 2, 3)
    assert re.search(
        "tiny.duckdb is damaged .*; make it again with `interdash load (tiny|RUN)`", verify(ready_run).damaged[0]
    )
    folder = next(ready_run.labels_dir.glob("target-00001-*"))
    shutil.copy(folder / "units.parquet", folder / "networks.parquet")
    lines = (ready_run.path / "metrics.jsonl").read_bytes().split(b"\n")
    others = [line for line in lines if b'"target", "epoch": 0,' not in line]
    (ready_run.path / "metrics.jsonl").write_bytes(b"\n".join(others))
    (ready_run.path / "tiny.duckdb").write_bytes(b"no database")
    text = "\n".join(verify(ready_run).damaged)
    assert "has other columns than this version's" in text and "lacks the losses of" in text
    assert "tiny.duckdb is damaged" in text


def test_any_flipped_bit_is_found(ready_run):
    rng = random.Random(0)
    kinds = ("run.json", "metrics.jsonl", "samples.json", "samples.safetensors", "checkpoints/", "parts/", "labels/")
    names = sorted(files_of(ready_run))
    for kind in kinds:
        for name in rng.sample(own := [name for name in names if name.startswith(kind)], min(2, len(own))):
            path = ready_run.path / name
            good = path.read_bytes()
            for _ in range(2):
                place, bit = rng.randrange(len(good)), rng.randrange(8)
                flip(path, place, bit)
                # white space in JSON means nothing, nor may the 17th digit of a number
                may_be_same = good[place : place + 1].isspace() or good[place : place + 1].isdigit()
                same = path.suffix == ".json" and may_be_same and json_equal(path, good)
                assert same or not verify(ready_run).ok, f"{name}, byte {place}, bit {bit}"
                path.write_bytes(good)
    assert verify(ready_run).ok
    record = with_checksum({"b": (1, 2), "a": {2: 0.1, 10: None}})
    again = json.loads(json.dumps(record, indent=2))
    assert checksum_holds(again) and checksum_holds({"b": 1}) is None
    assert checksum_holds(again | {"b": [1, 3]}) is False


def json_equal(path, good):
    try:
        return json.loads(path.read_bytes()) == json.loads(good)
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "samples.json"])
def test_a_flip_that_leaves_valid_json_is_refused_by_every_reader(ready_run, name):
    path = ready_run.path / name
    text = path.read_bytes()
    digit = next(i for i in range(len(text) // 3, len(text)) if text[i : i + 1] in b"24" and text[i - 1 : i].isdigit())
    flip(path, digit, 0)  # 2 to 3, 4 to 5
    with pytest.raises(DamagedFileError, match=r"is damaged \(its checksum does not hold\)"):
        _ = ready_run.manifest, ready_run.metrics(), ready_run.explained_hash()


def test_verify_tells_what_is_missing(ready_run):
    units = plan(ready_run).units
    part_path(ready_run, units[-1]).unlink()
    shutil.rmtree(next(ready_run.labels_dir.glob("target-00001-*")))
    ready_run.checkpoint_path("target", 0).unlink()
    found = verify(ready_run)
    assert not found.ok and not found.damaged
    text = "\n".join(found.missing)
    assert "1 units of target at epoch 3; `interdash extract tiny` computes them" in text
    assert "labels of target at epoch 1; `interdash extract tiny` makes them" in text
    assert "the checkpoints of target at epochs 0 in" in text and "copy the run again from where it was made" in text
    assert any("target-00000" in path for path in found.left_over)
    assert command("verify", "tiny", "--root", ready_run.path.parent).exit_code == 1


def test_gc_says_first_and_deletes_what_is_left_over(ready_run):
    before = files_of(ready_run)
    draft, young = ready_run.labels_dir / ".target-00001-x.ab.draft", ready_run.parts_dir / ".p.parquet.cd.draft"
    (draft / "inner").mkdir(parents=True)
    (draft / "inner" / "file").write_bytes(b"1234")
    age(draft)
    young.write_bytes(b"")
    orphan = ready_run.parts_dir / "target-00009-00000-0123456789abcdef.parquet"
    orphan.write_bytes(b"12345")
    labels = ready_run.labels_dir / "target-00009-0123456789abcdef"
    labels.mkdir()
    units = plan(ready_run).units
    part_path(ready_run, units[0]).rename(ready_run.path / "aside")
    locks = [ready_run.parts_dir / "locks" / f"{unit.name}.lock" for unit in units[:2]]
    locks[0].parent.mkdir(exist_ok=True)
    for lock in locks:
        lock.touch()
    root = ready_run.path.parent
    asked = json.loads(command("gc", "tiny", "--root", root, "--json").stdout)
    kinds = {item["path"]: (item["kind"], item["bytes"]) for item in asked["items"]}
    assert kinds == {
        str(draft): ("draft", 4),
        str(orphan): ("orphaned part", 5),
        str(labels): ("orphaned labels", 0),
        str(locks[1]): ("lock", 0),  # the other's unit is missing: somebody may be computing it
    }
    assert asked["bytes"] == 9 and not asked["deleted"] and draft.exists() and orphan.exists()
    done = command("gc", "--root", root, "--delete")
    assert done.exit_code == 0 and "freed" in done.output
    assert not any(path.exists() for path in (draft, orphan, labels, locks[1])) and young.exists() and locks[0].exists()
    young.unlink()
    (ready_run.path / "aside").rename(part_path(ready_run, units[0]))
    assert files_of(ready_run) == before


def test_nothing_is_touched_beside_an_extraction(ready_run, tmp_path):
    lock = ready_run.parts_dir / "locks" / "extraction.lock"
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock):
        for refused in (retention.collect, retention.compact, lambda run: archive(run, tmp_path / "a.tar")):
            with pytest.raises(
                RuntimeError, match="an extraction of 'tiny' is at work; wait for its end, or cancel it"
            ):
                refused(ready_run)
        said = command("gc", "--root", ready_run.path.parent, "--delete")
        assert said.exit_code == 0 and "Warning: an extraction of 'tiny' is at work" in said.output


def test_dropped_vectors_stay_away_until_they_are_wanted(ready_run):
    root, undisturbed = ready_run.path.parent, files_of(ready_run)
    assert command("gc", "tiny", "--root", root, "--drop-vectors", "1", "--delete").exit_code == 0
    gone = [unit for unit in plan(ready_run).units if (unit.network, unit.epoch) == ("target", 1)]
    assert not any(part_path(ready_run, unit).exists() for unit in gone)
    assert state(ready_run).word == "ready" and verify(ready_run).ok
    assert extract_and_label(ready_run, workers=0).computed == []
    with pytest.raises(
        FileNotFoundError, match=r"vectors of target at epoch 1 were dropped .* --want-vectors 1 --delete"
    ):
        read_vectors(ready_run, gone[0], 0)
    with store_of(ready_run) as store:
        assert store.problems["tiny"] == []
        strongest = interactions(store, "tiny", 1, 3).iloc[0]
        life = interaction_life(store, ready_run, 3, strongest["type"], int(strongest["subset"]))
    assert life["epoch"].tolist()[1:] == [0, 1, 3] and life["effect"].iloc[2] == strongest["effect"]
    assert "of 1 of 4 labelled epochs were dropped to save space: an interaction is shown" in life.attrs["problems"][0]
    said = command("gc", "tiny", "--root", root, "--want-vectors", "0-3")
    assert "with --delete would be computed again by `interdash extract tiny`: epochs 1\n" in said.output
    assert extract_and_label(ready_run, workers=0).computed == []
    said = command("gc", "tiny", "--root", root, "--want-vectors", "0-3", "--delete")
    assert "computed again by `interdash extract tiny`: epochs 1" in said.output
    assert set(extract_and_label(ready_run, workers=0).computed) == set(gone)
    again = files_of(ready_run)
    labels = [name for name in again if name.startswith("labels/") and not name.endswith("units.parquet")]
    assert all(again[name] == undisturbed[name] for name in labels)


def test_vectors_are_dropped_only_where_labels_are(ready_run):
    with pytest.raises(ValueError, match="has no checkpoint at epoch 2; it has 0, 1, 3"):
        retention.collect(ready_run, {2})
    shutil.rmtree(next(ready_run.labels_dir.glob("target-00003-*")))
    with pytest.raises(ValueError, match=r"epoch 3 of 'tiny' has no labels yet.*; run `interdash extract tiny` first"):
        retention.collect(ready_run, {3})
    said = command("gc", "tiny", "--root", ready_run.path.parent, "--drop-vectors", "1-x")
    assert said.exit_code == 2 and "'1-x' names no epochs; write them such as 1,2,5-9" in said.output
    assert "name the RUN" in command("gc", "--root", ready_run.path.parent, "--drop-vectors", "1").output


def test_packs_read_as_the_parts_did_also_after_a_kill(ready_run, labelled_run):
    root = ready_run.path.parent
    assert command("compact", "tiny", "--root", root).exit_code == 0
    units = plan(ready_run).units
    assert len(list(ready_run.parts_dir.iterdir())) - (ready_run.parts_dir / "locks").exists() == 4
    assert finished(ready_run, units) == set(units) and verify(ready_run).ok and verify(ready_run).left_over == []
    for unit in units:
        good = read_part(labelled_run, unit)
        for name, values in read_part(ready_run, unit).items():
            assert values.tobytes() == good[name].tobytes()
    outcome = extract_and_label(ready_run, workers=0)
    assert outcome.computed == [] and outcome.problems == [] and retention.compact(ready_run) == []
    unit = plan(ready_run).units[-1]
    retention.compact(ready_run)
    shutil.copy(part_path(labelled_run, unit), part_path(ready_run, unit))
    assert retention.compact(ready_run) == [] and not part_path(ready_run, unit).exists()
    assert verify(ready_run).ok


def test_a_damaged_pack_costs_only_the_damaged_part(ready_run):
    units, before = plan(ready_run).units, files_of(ready_run)
    retention.compact(ready_run)
    path = pack_path(ready_run, units[-1])
    flip(path, 200, 3)  # in the first part of the epoch
    assert "is damaged" in verify(ready_run).damaged[0]
    outcome = extract_and_label(ready_run, workers=0)
    first = next(unit for unit in units if pack_path(ready_run, unit) == path)
    assert outcome.computed == [first] and not path.exists() and verify(ready_run).ok
    assert part_path(ready_run, units[-1]).read_bytes() == before[f"parts/{units[-1].name}.parquet"]
    assert retention.compact(ready_run) == [path]
    flip(path, path.stat().st_size - 300, 3)  # in the footer, which describes all parts
    assert extract_and_label(ready_run, workers=0).computed == [unit for unit in units if unit.pack == path.stem]


def zipped(run, pack):
    """Returns the pack of parts as the version before wrote it, in their place."""
    path = run.parts_dir / f"{pack}.zip"
    with zipfile.ZipFile(path, "w") as archived:
        for unit in (unit for unit in plan(run).units if unit.pack == pack):
            archived.write(part_path(run, unit), f"{unit.name}.parquet")
            part_path(run, unit).unlink()
    return path


def test_the_zip_packs_of_an_older_version_are_unpacked(ready_run, labelled_run):
    units, before = plan(ready_run).units, files_of(ready_run)
    for pack in {unit.pack for unit in units}:
        zipped(ready_run, pack)
    assert state(ready_run).text == "partial: 100 % of the units; `interdash extract tiny` goes on"
    with pytest.raises(FileNotFoundError, match="make it with `interdash extract tiny`"):
        read_vectors(ready_run, units[0], 0)
    assert not [item for item in retention.collect(ready_run) if item.kind == "orphaned part"]
    said = command("extract", "tiny", "--root", ready_run.path.parent)
    assert said.exit_code == 0 and "to extract: nothing, all units are there" in said.stderr
    after = files_of(ready_run)
    assert {name: after[name] for name in before if name.startswith("parts/")} == {
        name: content for name, content in before.items() if name.startswith("parts/")
    }
    assert not list(ready_run.parts_dir.glob("*.zip"))


def test_a_damaged_zip_pack_costs_only_what_is_damaged(ready_run):
    units = plan(ready_run).units
    epoch = [unit for unit in units if unit.pack == units[-1].pack]
    path = zipped(ready_run, units[-1].pack)
    flip(path, 500, 3)  # in the first part
    (ready_run.parts_dir / "other.zip").write_bytes(b"no archive")
    outcome = extract_and_label(ready_run, workers=0)
    assert outcome.computed == epoch[:1]
    assert f"{epoch[0].name}.parquet in {path} is damaged" in " ".join(outcome.problems)
    assert "other.zip is damaged" in " ".join(outcome.problems) and verify(ready_run).ok


def test_archive_and_back_bit_for_bit(ready_run, tmp_path):
    before, file = files_of(ready_run), tmp_path / "tiny.tar"
    (ready_run.parts_dir / ".x.ab.draft").write_bytes(b"")
    assert command("archive", "tiny", file, "--root", ready_run.path.parent).exit_code == 0
    assert not list(tmp_path.glob(".*.draft"))
    assert command("restore", file, "--root", tmp_path / "other").exit_code == 0
    assert files_of(Run(tmp_path / "other" / "tiny")) == before
    with pytest.raises(FileExistsError, match="is there already; choose another name or delete it"):
        archive(ready_run, file)
    with pytest.raises(FileExistsError, match=r"there is a run 'tiny' in .*; --replace puts the archive in its place"):
        restore(file, tmp_path / "other")
    ready_run.update(notes="newer")
    assert restore(file, ready_run.path.parent, replace=True).manifest["notes"] == ""
    assert files_of(ready_run) == before and not list(ready_run.path.parent.glob(".*"))
    flip(ready_run.checkpoint_path("target", 1), 100, 0)
    with pytest.raises(DamagedFileError, match=r"tiny is not archived, 1 files are damaged; the first: "):
        archive(ready_run, tmp_path / "damaged.tar")
    assert not (tmp_path / "damaged.tar").exists()


def test_a_damaged_archive_replaces_nothing(ready_run, tmp_path):
    file, rng = archive(ready_run, tmp_path / "tiny.tar"), random.Random(0)
    good, before, root = file.read_bytes(), files_of(ready_run), ready_run.path.parent
    with tarfile.open(file) as packed:
        spans = [(member.offset_data, member.size) for member in packed if member.size]
    for first, size in [*rng.sample(spans, 11), spans[-1]]:
        flip(file, first + rng.randrange(size), rng.randrange(8))
        with pytest.raises(DamagedFileError, match=r"tiny.tar is damaged \(.*\); nothing was replaced"):
            restore(file, root, replace=True)
        file.write_bytes(good)
    start = spans[-1][0] - 512  # of the header of run.json, which is the last file
    for cut in (0, 10, len(good) // 2, start, start + 600):
        file.write_bytes(good[:cut])
        with pytest.raises(DamagedFileError, match="nothing was replaced"):
            restore(file, root, replace=True)
    assert files_of(ready_run) == before and not list(root.glob(".*"))
    with pytest.raises(FileNotFoundError, match=r"there is no .*none.tar; make one with `interdash archive RUN"):
        restore(tmp_path / "none.tar", root)
    members = files_of(ready_run) | {"interdash-archive.json": b'{"format": 1, "run": "tiny", "files": {}}'}
    run = restore(packed_by_hand(tmp_path / "old.tar", members), tmp_path / "other")
    assert run.name == "tiny" and files_of(run) == files_of(ready_run)


def packed_by_hand(file, members, links=()):
    """Writes a tar file of contents by name, and of links from a name to a target."""
    with tarfile.open(file, "w") as packed:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            packed.addfile(member)
    return file


def test_an_archive_cannot_write_outside(tmp_path):
    root, old = tmp_path / "root", {"interdash-archive.json": b'{"run": "tiny"}'}
    cases = [
        ({"../outside": b"evil"} | old, r"'\.\./outside' would be extracted to .*, which is outside the destination"),
        ({"tiny/../../outside": b"evil", "tiny/run.json": b"{}"}, "which is outside the destination"),
        ({"../outside": b"evil", "tiny/run.json": b"{}"}, r"'\.\./outside' is no file inside a run"),
        ({"../run.json": b"{}"}, r"'\.\.' cannot name a run"),
        ({"interdash-archive.json": b'{"run": "../outside"}'}, r"'\.\./outside' cannot name a run"),
        ({"tiny/notes": b"", "other/run.json": b"{}"}, "'tiny/notes' is no file inside a run"),
        ({"tiny/run.json": b"{}", "tiny/notes": b""}, "it does not end with the run.json of a run"),
    ]
    for number, (members, message) in enumerate(cases):
        with pytest.raises(DamagedFileError, match=message):
            restore(packed_by_hand(tmp_path / f"{number}.tar", members), root)
    link = packed_by_hand(tmp_path / "link.tar", {}, [("tiny/parts", "/etc"), ("tiny/run.json", "/etc/passwd")])
    with pytest.raises(DamagedFileError, match="'tiny/parts' is no file inside a run"):
        restore(link, root)
    assert not (tmp_path / "outside").exists() and not any(root.glob("*"))
