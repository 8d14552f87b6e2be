"""Gateway and service of two releases understand each other: protos only grow."""

from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from deploy.release.protos import RELEASED, find_breaks, write_descriptors

ROOT = Path(__file__).parent.parent
USERS = "protos/user/v1/users.proto"


def test_the_contracts_hold_all_that_the_last_release_has(tmp_path: Path) -> None:
    write_descriptors(ROOT, tmp_path / "new.binpb")
    assert find_breaks(ROOT / RELEASED, tmp_path / "new.binpb") == []


def remove_field(file: FileDescriptorProto) -> None:
    del file.message_type[0].field[0]


def renumber_field(file: FileDescriptorProto) -> None:
    file.message_type[0].field[0].number = 99


def retype_field(file: FileDescriptorProto) -> None:
    file.message_type[0].field[0].type = FieldDescriptorProto.TYPE_BYTES


def remove_rpc(file: FileDescriptorProto) -> None:
    del file.service[0].method[0]


def remove_enum_value(file: FileDescriptorProto) -> None:
    del file.enum_type[0].value[1]


def add_field(file: FileDescriptorProto) -> None:
    kind, label = FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.LABEL_OPTIONAL
    file.message_type[0].field.add(name="added", number=99, type=kind, label=label, json_name="added")


def changed(change: Callable[[FileDescriptorProto], None], folder: Path, having: str) -> list[str]:
    """What is found when the first file with a `having` (message_type, service, enum_type) is changed."""
    descriptors = FileDescriptorSet.FromString((ROOT / RELEASED).read_bytes())
    change(next(file for file in descriptors.file if getattr(file, having)))
    new = folder / "new.binpb"
    new.write_bytes(descriptors.SerializeToString())
    return find_breaks(ROOT / RELEASED, new)


@pytest.mark.parametrize(
    ("change", "having"),
    [
        (remove_field, "message_type"),
        (renumber_field, "message_type"),
        (retype_field, "message_type"),
        (remove_rpc, "service"),
        (remove_enum_value, "enum_type"),
    ],
)
def test_what_breaks_a_caller_is_found(
    tmp_path: Path, change: Callable[[FileDescriptorProto], None], having: str
) -> None:
    assert changed(change, tmp_path, having) != []


def test_growing_is_allowed(tmp_path: Path) -> None:
    assert changed(add_field, tmp_path, "message_type") == []
