from services.kit.ttl_map import TtlMap


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_entry_ends_after_its_time() -> None:
    clock = Clock()
    entries: TtlMap[str, int] = TtlMap(10, 5, clock)
    entries.put("a", 1)
    clock.now += 9.9
    assert entries.get("a") == 1
    clock.now += 0.1
    assert (entries.get("a"), entries.get("a", 7), entries.entry("a")) == (None, 7, None)


def test_an_entry_may_end_at_a_time_of_its_own() -> None:
    clock = Clock()
    entries: TtlMap[str, int] = TtlMap(10, 5, clock)
    entries.put("a", 1, until=103)
    assert entries.entry("a") == (1, 103)
    clock.now = 103
    assert entries.entry("a") is None


def test_putting_again_renews_value_and_time() -> None:
    clock = Clock()
    entries: TtlMap[str, int] = TtlMap(10, 5, clock)
    entries.put("a", 1)
    clock.now += 6
    entries.put("a", 2)
    clock.now += 6
    assert entries.get("a") == 2


def test_a_full_map_drops_what_was_put_first() -> None:
    entries: TtlMap[str, int] = TtlMap(10, 3)
    for value, key in enumerate("abcad"):
        entries.put(key, value)
    assert [entries.get(key) for key in "abcd"] == [3, None, 2, 4]
    assert len(entries) == 3


def test_what_has_expired_makes_room_before_the_map_is_full() -> None:
    clock = Clock()
    entries: TtlMap[int, int] = TtlMap(10, 100, clock)
    for number in range(50):
        entries.put(number, number)
        clock.now += 1
    assert len(entries) == 10


def test_drop_forgets_one_and_clear_all() -> None:
    entries: TtlMap[str, int | None] = TtlMap(10, 3)
    entries.put("a", 1)
    entries.put("b", None)
    entries.drop("a")
    entries.drop("never put")
    assert entries.get("a") is None and entries.entry("b") is not None
    entries.clear()
    assert len(entries) == 0
