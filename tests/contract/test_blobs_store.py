"""What every home of stored objects promises; a new implementation joins `STORES` and must pass unchanged."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import stat
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.blobs import flush
from engine.blobs.errors import DamagedBlob, MissingBlob, OutOfSpace, WriteFailed
from engine.blobs.folder import FolderStore
from engine.blobs.store import BlobStore
from engine.core.errors import StorageError
from engine.core.ids import BlobKey
from engine.core.limits import DEFAULT_LIMITS

LIMITS = replace(DEFAULT_LIMITS, disk_floor_bytes=0, disk_floor_share=0.0)
STORES: dict[str, Callable[[Path], BlobStore]] = {"folder": lambda root: FolderStore(root, LIMITS)}


@pytest.fixture(params=sorted(STORES))
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], BlobStore]:
    """Return a function that opens the same store again, as after a restart."""
    return lambda: STORES[request.param](tmp_path / "blobs")


@pytest.fixture
def store(reopen: Callable[[], BlobStore]) -> BlobStore:
    return reopen()


def key_of(content: bytes) -> BlobKey:
    return BlobKey(hashlib.sha256(content).hexdigest())


def age(root: Path) -> None:
    """Date everything stored an hour back, as if the process that stored it had ended then."""
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (path.stat().st_atime - 3600, path.stat().st_mtime - 3600))


def unknown(_: BlobKey) -> bool:
    return False


@pytest.mark.parametrize("content", [b"", b"x", b"a" * 3_000_000])
def test_what_went_in_comes_out(store: BlobStore, content: bytes) -> None:
    key = store.put(content)

    assert key == key_of(content)
    assert store.has(key)
    assert store.read(key) == content
    with store.open(key) as file:
        assert file.read() == content


def test_fragments_make_one_object(store: BlobStore) -> None:
    writer = store.begin()
    for fragment in (b"one ", memoryview(b"two "), b"", b"three"):
        writer.write(fragment)

    with writer.contents() as content:
        assert bytes(content) == b"one two three"
        assert writer.size == 13
    key, size = writer.commit()

    assert (store.read(key), size) == (b"one two three", 13)


def test_nothing_is_there_before_the_commit(store: BlobStore) -> None:
    writer = store.begin()
    writer.write(b"x")

    assert not store.has(key_of(b"x"))
    writer.discard()
    writer.discard()
    assert not store.has(key_of(b"x"))


def test_discard_after_commit_keeps_the_object(store: BlobStore) -> None:
    writer = store.begin()
    writer.write(b"x")
    key, _ = writer.commit()

    writer.discard()

    assert store.read(key) == b"x"


def test_the_same_content_twice_is_one_object(store: BlobStore) -> None:
    assert store.put(b"same") == store.put(b"same")
    assert store.read(key_of(b"same")) == b"same"


def test_threads_store_the_same_and_different_content(store: BlobStore) -> None:
    contents = [b"shared", *(f"content {n}".encode() for n in range(20))] * 2
    keys: list[BlobKey] = []
    threads = [threading.Thread(target=lambda content=content: keys.append(store.put(content))) for content in contents]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(keys) == sorted(map(key_of, contents))
    assert all(store.read(key_of(content)) == content for content in contents)


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64])
def test_what_is_not_here_is_said(store: BlobStore, key: str) -> None:
    with pytest.raises(MissingBlob) as missing:
        store.read(BlobKey(key))
    with pytest.raises(MissingBlob):
        store.open(BlobKey(key))

    assert missing.value.code == "STO-104"


def test_a_restart_finds_what_was_committed_and_nothing_else(reopen: Callable[[], BlobStore], tmp_path: Path) -> None:
    before = reopen()
    kept, orphan = before.put(b"kept"), before.put(b"orphan")
    torn = before.begin()
    torn.write(b"half an obj" * 200_000)  # the process dies here
    age(tmp_path)

    after = reopen()
    swept = after.sweep(lambda key: key == kept)

    assert (swept.unfinished, swept.orphans) == (1, 1)
    assert after.read(kept) == b"kept"
    assert not after.has(orphan)
    assert not after.has(key_of(b"half an obj" * 200_000))
    assert after.sweep(lambda key: key == kept) == type(swept)()
    torn.discard()


def test_a_sweep_leaves_what_arrives_meanwhile(reopen: Callable[[], BlobStore], tmp_path: Path) -> None:
    old = reopen().put(b"arrives again")
    age(tmp_path)
    store = reopen()
    writer = store.begin()
    writer.write(b"open" * 500_000)
    fresh = store.put(b"fresh")

    def known(key: BlobKey) -> bool:
        if key == old:
            store.put(b"arrives again")  # while the sweep asks about it
        return False

    swept = store.sweep(known)

    assert (swept.unfinished, swept.orphans) == (0, 0)
    assert store.read(old) == b"arrives again"
    assert store.read(fresh) == b"fresh"
    assert store.read(writer.commit()[0]) == b"open" * 500_000


# What follows looks behind the folder store's door.


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "blobs", LIMITS)


@pytest.mark.parametrize("damage", [b"y", b"", b"xx"])
def test_a_damaged_object_is_never_served(folder: FolderStore, tmp_path: Path, damage: bytes) -> None:
    for read in (folder.read, folder.open):
        key = folder.put(b"x")
        folder.path(key).write_bytes(damage)

        with pytest.raises(DamagedBlob) as damaged:
            read(key)

        assert damaged.value.code == "STO-104"
        assert not folder.has(key)
        assert (tmp_path / "blobs" / "damaged" / key).read_bytes() == damage


def test_storing_again_heals_a_damaged_object(folder: FolderStore) -> None:
    key = folder.put(b"x")
    folder.path(key).write_bytes(b"y")

    folder.put(b"x")

    assert folder.read(key) == b"x"


def test_only_the_owner_may_read(folder: FolderStore, tmp_path: Path) -> None:
    path = folder.path(folder.put(b"x"))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for place in (path.parent, tmp_path / "blobs", tmp_path / "blobs" / "tmp"):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_nothing_is_left_in_the_temporary_folder(folder: FolderStore, tmp_path: Path) -> None:
    folder.put(b"x")
    folder.begin().discard()

    assert list((tmp_path / "blobs" / "tmp").iterdir()) == []


def test_under_the_floor_nothing_is_begun(tmp_path: Path) -> None:
    for limits in (replace(LIMITS, disk_floor_bytes=2**62), replace(LIMITS, disk_floor_share=1.0)):
        store = FolderStore(tmp_path, limits)
        with pytest.raises(OutOfSpace) as refused:
            store.begin()
        assert refused.value.code == "STO-101"
        assert refused.value.free_bytes == pytest.approx(store.free_bytes(), rel=0.1)


def refuse(number: int) -> Callable[..., None]:
    def refused(*_: object) -> None:
        raise OSError(number, "refused by the test")

    return refused


@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_a_failed_sync_is_final(folder: FolderStore, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setattr(os, call, refuse(errno.EIO))
    with pytest.raises(WriteFailed) as failed:
        folder.put(b"x")
    monkeypatch.undo()

    with pytest.raises(WriteFailed):
        folder.begin()

    assert failed.value.code == "STO-103"
    assert (failed.value.step, failed.value.errno) == ("sync", errno.EIO)


@pytest.mark.parametrize("call", ["write", "fdatasync", "open"])
def test_a_full_disk_is_not_final(folder: FolderStore, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setattr(os, call, refuse(errno.ENOSPC))
    with pytest.raises(StorageError) as failed:
        folder.put(b"x")
    monkeypatch.undo()

    assert failed.value.code == "STO-101"
    assert folder.read(folder.put(b"x")) == b"x"


def test_a_refused_write_leaves_no_file(folder: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", refuse(errno.EIO))
    with pytest.raises(WriteFailed):
        folder.put(b"x")
    monkeypatch.undo()

    assert list((tmp_path / "blobs" / "tmp").iterdir()) == []
    assert folder.sweep(unknown).unfinished == 0


def test_a_disk_that_cannot_be_read_is_not_a_damaged_object(
    folder: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = folder.put(b"x")
    with monkeypatch.context() as disk:
        disk.setattr(hashlib, "file_digest", refuse(errno.EIO))
        with pytest.raises(OSError, match="refused by the test"):
            folder.open(key)

    assert folder.read(key) == b"x"


def test_young_leftovers_are_left_to_the_process_that_may_still_need_them(tmp_path: Path) -> None:
    FolderStore(tmp_path, LIMITS).put(b"x")
    age(tmp_path)

    assert FolderStore(tmp_path, LIMITS, grace_s=7200).sweep(unknown).orphans == 0
    assert FolderStore(tmp_path, LIMITS, grace_s=600).sweep(unknown).orphans == 1


def test_an_object_may_go_while_a_sweep_looks_at_it(tmp_path: Path) -> None:
    key = FolderStore(tmp_path, LIMITS).put(b"x")
    age(tmp_path)
    folder = FolderStore(tmp_path, LIMITS)

    def known(_: BlobKey) -> bool:
        folder.path(key).unlink()
        return False

    assert folder.sweep(known).orphans == 0


def test_without_early_write_out_objects_are_stored_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as machine:
        machine.setattr(sys, "platform", "other")
        assert flush.find() is None
    with monkeypatch.context() as machine:
        machine.setattr(ctypes, "CDLL", lambda _: object())
        assert flush.find() is None


def test_large_objects_are_written_out_early(folder: FolderStore) -> None:
    writer = folder.begin()
    for _ in range(5):
        writer.write(b"x" * 4_000_000)

    key, size = writer.commit()

    assert size == 20_000_000
    assert folder.read(key) == b"x" * 20_000_000
