"""A manifest is what a release says of itself, and nobody else can have said it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.outbox import manifest as manifests
from node.outbox.chain import Head, check_chain, find_head
from node.outbox.manifest import FILE_NAME, ManifestInvalid, read_manifest
from node.outbox.signing import (
    SigningKeyError,
    create_signing_key,
    ensure_signing_key,
    load_public_key,
    load_signing_key,
)
from tests.outbox.releases import make_outbox, make_release


def _rewrite(path: Path, content: bytes) -> None:
    path.chmod(0o640)
    path.write_bytes(content)


def test_a_signed_manifest_reads_back_as_it_was(tmp_path: Path) -> None:
    """Nothing is lost or changed between sign and read."""
    outbox, key = make_outbox(tmp_path)
    made = make_release(outbox, key)
    read = read_manifest(outbox.releases / made.release, load_public_key(outbox.public_key))
    assert read == made
    assert read.totals["instances"] == 3


def test_a_manifest_has_one_spelling(tmp_path: Path) -> None:
    """Signing the same manifest twice gives the same bytes, and no other bytes are accepted."""
    outbox, key = make_outbox(tmp_path)
    made = make_release(outbox, key)
    path = outbox.releases / made.release / FILE_NAME
    signed = path.read_bytes()
    assert manifests.sign(made, key) == signed
    _rewrite(path, json.dumps(json.loads(signed), indent=1).encode())
    with pytest.raises(ManifestInvalid, match="spelt"):
        read_manifest(path.parent, key.public_key())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace('"route":"default"', '"route":"another"'), "signature"),
        (lambda text: text.replace('"sequence":1', '"sequence":2'), "signature"),
        (lambda text: text.replace('"format":1', '"format":2'), "signature"),
        (lambda text: text[:-20], "not a signed manifest"),
        (lambda _text: "", "not a signed manifest"),
        (lambda _text: '{"manifest": [], "signature": "AAAA"}', "signature"),
        (lambda _text: "[" * 100_000, "not a signed manifest"),
    ],
)
def test_an_altered_manifest_is_refused(tmp_path: Path, change: object, reason: str) -> None:
    """Any altered byte shows as a manifest that is not this node's."""
    outbox, key = make_outbox(tmp_path)
    path = outbox.releases / make_release(outbox, key).release / FILE_NAME
    text = path.read_text()
    assert callable(change)
    _rewrite(path, change(text).encode())
    with pytest.raises(ManifestInvalid, match=reason):
        read_manifest(path.parent, key.public_key())


def test_a_manifest_of_another_key_is_refused(tmp_path: Path) -> None:
    """A well-formed manifest that a stranger signed is not ours."""
    outbox, key = make_outbox(tmp_path)
    made = make_release(outbox, key)
    path = outbox.releases / made.release / FILE_NAME
    _rewrite(path, manifests.sign(made, Ed25519PrivateKey.generate()))
    with pytest.raises(ManifestInvalid, match="signature"):
        read_manifest(path.parent, key.public_key())


def test_a_manifest_moved_to_another_release_is_refused(tmp_path: Path) -> None:
    """A true manifest in the wrong folder says nothing about that folder's files."""
    outbox, key = make_outbox(tmp_path)
    first = make_release(outbox, key, study=1)
    second = make_release(outbox, key, study=2)
    stolen = (outbox.releases / first.release / FILE_NAME).read_bytes()
    folder = outbox.releases / second.release
    _rewrite(folder / FILE_NAME, stolen)
    with pytest.raises(ManifestInvalid, match="another release"):
        read_manifest(folder, key.public_key())


def test_a_manifest_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    """No symlink is followed in the released zone."""
    outbox, key = make_outbox(tmp_path)
    folder = outbox.releases / make_release(outbox, key).release
    (folder / FILE_NAME).rename(tmp_path / "elsewhere.json")
    (folder / FILE_NAME).symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ManifestInvalid, match="cannot be read"):
        read_manifest(folder, key.public_key())


@pytest.mark.parametrize(
    "fault",
    [
        {"file": "../../etc/passwd"}, {"file": ".hidden"}, {"file": FILE_NAME},
        {"sop_instance_uid": "1.2/3"}, {"sha256": "ABC"}, {"bytes": 0},
        {"transfer_syntax_uid": ""},
    ],
)  # fmt: skip
def test_a_manifest_cannot_name_what_could_not_be_sent(
    tmp_path: Path, fault: dict[str, str]
) -> None:
    """A file name that is a path, a UID that is none, no digest: refused at signing and reading."""
    outbox, key = make_outbox(tmp_path)
    made = make_release(outbox, key)
    bad = replace(made, instances=(replace(made.instances[0], **fault), *made.instances[1:]))
    with pytest.raises(ManifestInvalid, match=r"instances\[0\]"):
        manifests.sign(bad, key)


def test_an_instance_is_listed_once_per_variant(tmp_path: Path) -> None:
    """Two entries of one UID are lawful only as variants with files of their own."""
    outbox, key = make_outbox(tmp_path)
    made = make_release(outbox, key, instances=1)
    (entry,) = made.instances
    with pytest.raises(ManifestInvalid, match="one file"):
        manifests.sign(replace(made, instances=(entry, entry)), key)
    with pytest.raises(ManifestInvalid, match="twice"):
        manifests.sign(replace(made, instances=(entry, replace(entry, file="other.dcm"))), key)
    variant = replace(entry, file="other.dcm", variant="1.2.840.10008.1.2")
    both = replace(made, instances=(entry, variant))
    manifests.sign(both, key)
    assert both.totals == {"instances": 1, "files": 2, "bytes": 2 * entry.bytes}


def test_each_release_names_the_one_before(tmp_path: Path) -> None:
    """The head is the highest sequence number, and the chain has no gap."""
    outbox, key = make_outbox(tmp_path)
    assert find_head(outbox.releases, key.public_key()) == Head(0, "")
    made = [make_release(outbox, key, study=number) for number in (3, 1, 2)]
    head = find_head(outbox.releases, key.public_key())
    newest = (outbox.releases / made[-1].release / FILE_NAME).read_bytes()
    assert head == Head(3, manifests.digest(newest))
    assert check_chain(outbox.releases, key.public_key()) == ()


def test_a_removed_release_shows_in_the_chain(tmp_path: Path) -> None:
    """Taking a folder away leaves a gap that is named."""
    outbox, key = make_outbox(tmp_path)
    made = [make_release(outbox, key, study=number) for number in (1, 2, 3)]
    (outbox.releases / made[1].release).rename(tmp_path / "taken")
    (problem,) = check_chain(outbox.releases, key.public_key())
    assert made[2].release in problem
    assert "missing" in problem


def test_a_release_signed_anew_shows_in_the_chain(tmp_path: Path) -> None:
    """Even the key's holder cannot alter an old release without breaking the one after it."""
    outbox, key = make_outbox(tmp_path)
    first = make_release(outbox, key, study=1)
    second = make_release(outbox, key, study=2)
    path = outbox.releases / first.release / FILE_NAME
    _rewrite(path, manifests.sign(replace(first, route="another"), key))
    (problem,) = check_chain(outbox.releases, key.public_key())
    assert second.release in problem


@pytest.mark.parametrize("change", [
    lambda _text: "{}",
    lambda text: text.replace('"sequence":2', '"sequence":7'),
    lambda text: text.replace('"sequence":2', '"sequence":0'),
])  # fmt: skip
def test_no_release_follows_a_head_that_cannot_be_trusted(tmp_path: Path, change: object) -> None:
    """A manifest without a number, or with a forged one, might hide the highest: fail closed."""
    outbox, key = make_outbox(tmp_path)
    make_release(outbox, key, study=1)
    path = outbox.releases / make_release(outbox, key, study=2).release / FILE_NAME
    assert callable(change)
    _rewrite(path, change(path.read_text()).encode())
    with pytest.raises(ManifestInvalid):
        find_head(outbox.releases, key.public_key())


def test_a_text_that_looks_like_a_number_is_not_the_number(tmp_path: Path) -> None:
    """A person's reason may quote anything; the head is still the manifest's own number."""
    outbox, key = make_outbox(tmp_path)
    made = make_release(outbox, key)
    path = outbox.releases / made.release / FILE_NAME
    quoting = replace(made, overrides=('see "sequence":9, please',))
    _rewrite(path, manifests.sign(quoting, key))
    assert find_head(outbox.releases, key.public_key()).sequence == 1


def test_the_private_key_is_closed_to_others(tmp_path: Path) -> None:
    """It is made 0600, and one that was opened is not used."""
    private, public = tmp_path / "manifest.key", tmp_path / "public.pem"
    create_signing_key(private, public)
    assert private.stat().st_mode & 0o777 == 0o600
    private.chmod(0o640)
    with pytest.raises(SigningKeyError, match="chmod 600"):
        load_signing_key(private)


def test_a_key_pair_is_made_once(tmp_path: Path) -> None:
    """It is found again; a public half lost in a crash is written again, a strange one refused."""
    private, public = tmp_path / "manifest.key", tmp_path / "public.pem"
    first = ensure_signing_key(private, public)
    public.unlink()
    again = ensure_signing_key(private, public)
    assert again.private_bytes_raw() == first.private_bytes_raw()
    with pytest.raises(FileExistsError):
        create_signing_key(private, public)
    private.unlink()
    with pytest.raises(SigningKeyError, match="backup"):
        ensure_signing_key(private, public)
    create_signing_key(private, tmp_path / "other.pem")
    with pytest.raises(SigningKeyError, match="public half"):
        ensure_signing_key(private, public)
