from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.redis_server import RedisServer, redis_server


@pytest.fixture
def redis_there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis of this test's own."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server
