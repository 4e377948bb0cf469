"""References to the Hub, as people write them."""

from __future__ import annotations

import pytest

from baryir_cli.errors import UsageError
from baryir_cli.hub.reference import DEFAULT_FILE, HubReference


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hf:me/net", ("me/net", None, DEFAULT_FILE)),
        ("hf:me/net@v1.0", ("me/net", "v1.0", DEFAULT_FILE)),
        ("hf:me/net@refs/pr/1", ("me/net", "refs/pr/1", DEFAULT_FILE)),
        ("hf:me/net:x.safetensors", ("me/net", None, "x.safetensors")),
        ("hf:Me-1/n.e_t@main:a/b c.safetensors", ("Me-1/n.e_t", "main", "a/b c.safetensors")),
    ],
)
def test_a_reference_has_repository_revision_and_file(
    text: str, parts: tuple[str, str | None, str]
) -> None:
    found = HubReference.parse(text)
    assert (found.repo, found.revision, found.file) == parts
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    [
        *("hf:", "hf:net", "hf:me/", "hf:me/net/x", "hf:me/net@", "hf:me/net:", "me/net"),
        *("hf:me/net@a@b", "hf:me/net:a:b", "hf:m e/net", "hf:me/net\n", "hf:mé/net"),
        *("hf:../..", "hf:me/.net", "hf:me-/net"),
        *("hf:me/net:/x", "hf:me/net:../x", "hf:me/net:a/../../x", "hf:me/net:a\\b"),
        *("hf:me/net:.", "hf:me/net:./x", "hf:me/net:a//x", "hf:me/net:a/", "hf:me/net:a\x1b[2J"),
        *("hf:me/net@../../x", "hf:me/net@/x", "hf:me/net@a/../../../x", "hf:me/net@."),
    ],
)
def test_malformed_references_are_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match="have the form|inside the repository|not a name of"
    ) as caught:
        HubReference.parse(text)
    assert "\n" not in str(caught.value)


def test_the_default_file_is_not_shown() -> None:
    assert str(HubReference.parse(f"hf:me/net:{DEFAULT_FILE}")) == "hf:me/net"
