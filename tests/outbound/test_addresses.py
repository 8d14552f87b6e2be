"""Which URLs of others may be called: nothing of the server's own network, whatever it is spelt like."""

import pytest

from services.outbound.addresses import AddressRefused, Rules, check_url, is_public, permitted

PRIVATE = (
    "0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 192.0.0.1 192.0.2.1 192.168.1.1 "
    "198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 fc00::1 fd12::1 fe80::1 "
    "fe80::1%eth0 fec0::1 ff02::1 2001:db8::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe "
    "64:ff9b:1::1 2002:7f00:1:: 2002:a00:1::1 2001:0:0:0:0:0:f5ff:fffe ::127.0.0.1"
)
PUBLIC = "1.1.1.1 8.8.8.8 93.184.216.34 2606:4700:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1"


@pytest.mark.parametrize("address", PRIVATE.split(" "))
def test_addresses_inside_are_refused(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(AddressRefused):
        permitted([address], Rules())
    assert permitted([address], Rules(private=True)) == [address]


@pytest.mark.parametrize("address", PUBLIC.split(" "))
def test_addresses_outside_are_permitted(address: str) -> None:
    assert is_public(address)


def test_of_several_addresses_only_the_public_ones_are_called() -> None:
    assert permitted(["10.0.0.1", "1.1.1.1", "::1"], Rules()) == ["1.1.1.1"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "push.example.com",
        "http://push.example.com/a",
        "ftp://push.example.com/a",
        "https:///a",
        "https://user@push.example.com/a",
        "https://user:pass@push.example.com/a",
        "https://push.example.com:22/a",
        "https://push.example.com:99999/a",
        "https://push.example.com\\@10.0.0.1/a",
        "https://push.example.com/a b",
        "https://push.example.com/a\nHost: x",
        "https://push.exämple.com/a",
        "https://localhost/a",
        "https://a.localhost./a",
        "https://db.internal/a",
        "https://printer.local/a",
        "https://postgres/a",
        "https://127.0.0.1/a",
        "https://[::1]/a",
        "https://[::ffff:169.254.169.254]/latest",
        "https://push.example.com/" + "a" * 2_048,
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url, Rules())


def test_hosts_and_ports_by_setting() -> None:
    rules = Rules((443, 8443), ("example.com", "fcm.googleapis.com"))
    assert check_url("https://push.example.com:8443/x", rules).origin == "https://push.example.com:8443"
    assert check_url("https://example.com./x", rules).origin == "https://example.com"
    for url in ("https://badexample.com/x", "https://example.com.evil.net/x", "https://googleapis.com/x"):
        with pytest.raises(AddressRefused):
            check_url(url, rules)
    assert check_url("https://192.168.1.2/x", Rules(private=True)).origin == "https://192.168.1.2"
    assert check_url("https://[fd00::1]/x", Rules(private=True)).origin == "https://[fd00::1]"
