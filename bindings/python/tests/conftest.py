import pytest

import hotcold


@pytest.fixture
def store(tmp_path):
    with hotcold.Store(tmp_path / "store", hot_capacity="16MiB") as opened:
        yield opened


@pytest.fixture
def mixed(tmp_path):
    with hotcold.MixedStorage(
        storage_directory=tmp_path / "mixed", max_size=5, serializer="json"
    ) as opened:
        yield opened
