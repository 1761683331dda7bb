//! Which addresses are public.
//!
//! After IANA's registries of special-purpose addresses. IPv6 is the other way round: only 2000::/3 is handed out, so
//! all else is refused. An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) counts as what it is.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A block of addresses, such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// Leading bits that every address of the block shares.
    prefix: u32,
}

const fn v4(address: [u8; 4], prefix: u32) -> Network {
    let [a, b, c, d] = address;
    Network { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
}

const fn v6(first: [u16; 4], prefix: u32) -> Network {
    let [a, b, c, d] = first;
    Network { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), prefix }
}

/// IPv4 blocks that lead to no public host.
const SPECIAL_V4: [(Network, &str); 17] = [
    (v4([0, 0, 0, 0], 8), "unspecified"),
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([100, 64, 0, 0], 10), "shared by a carrier's customers"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([168, 63, 129, 16], 32), "cloud metadata"),
    (v4([169, 254, 0, 0], 16), "link-local or cloud metadata"),
    (v4([172, 16, 0, 0], 12), "private"),
    (v4([192, 0, 0, 0], 24), "reserved"),
    (v4([192, 0, 2, 0], 24), "documentation"),
    (v4([192, 88, 99, 0], 24), "reserved"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([198, 18, 0, 0], 15), "benchmark"),
    (v4([198, 51, 100, 0], 24), "documentation"),
    (v4([203, 0, 113, 0], 24), "documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([255, 255, 255, 255], 32), "broadcast"),
    (v4([240, 0, 0, 0], 4), "reserved"),
];

/// IPv6 blocks that lead to no public host. The last one is all that has not been handed out.
const SPECIAL_V6: [(Network, &str); 8] = [
    (v6([0xfc00, 0, 0, 0], 7), "unique-local"),
    (v6([0xfe80, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0, 0], 8), "multicast"),
    (v6([0x2001, 0xdb8, 0, 0], 32), "documentation"),
    (v6([0x3fff, 0, 0, 0], 20), "documentation"),
    // Teredo, benchmarks, identifiers that are not routed.
    (v6([0x2001, 0, 0, 0], 23), "reserved"),
    (v6([0, 0, 0, 0], 0), "reserved"),
];

/// Addresses that are handed out to public hosts.
const GLOBAL_UNICAST: Network = v6([0x2000, 0, 0, 0], 3);
/// NAT64 (RFC 6052): the last four bytes are an IPv4 address.
const NAT64: Network = v6([0x64, 0xff9b, 0, 0], 96);
/// 6to4 (RFC 3056): the four bytes after the first two are an IPv4 address.
const SIX_TO_FOUR: Network = v6([0x2002, 0, 0, 0], 16);

/// What kind of address this is, where it leads to no public host.
pub(super) fn not_public(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => special(&SPECIAL_V4, address.into()),
        IpAddr::V6(address) => not_public_v6(address),
    }
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address {
        Ipv6Addr::UNSPECIFIED => return Some("unspecified"),
        Ipv6Addr::LOCALHOST => return Some("loopback"),
        _ => {}
    }
    let bytes = address.octets();
    let embedded = |at: usize| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| bytes[at + i]);
        special(&SPECIAL_V4, Ipv4Addr::new(a, b, c, d).into())
    };
    if NAT64.contains(address.into()) {
        return embedded(12);
    }
    if SIX_TO_FOUR.contains(address.into()) {
        return embedded(2);
    }
    let (handed_out, address) = (GLOBAL_UNICAST.contains(address.into()), address.into());
    let named = special(&SPECIAL_V6[..SPECIAL_V6.len() - 1], address);
    if handed_out { named } else { special(&SPECIAL_V6, address) }
}

fn special(blocks: &[(Network, &'static str)], address: IpAddr) -> Option<&'static str> {
    blocks.iter().find(|(block, _)| block.contains(address)).map(|(_, kind)| *kind)
}

impl Network {
    /// Whether the address lies in the block. An IPv4 address in IPv6 clothes is an IPv4 address.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let (network, address, width) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => (network.to_bits().into(), address.to_bits().into(), 32),
            (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
            _ => return false,
        };
        let differing: u128 = network ^ address;
        differing.checked_shr(width - self.prefix).unwrap_or(0) == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = String;

    /// An address, a slash and a number of bits; an address alone is a block of one.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a network such as 10.0.0.0/8 or fd00::/8");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), |bits| bits.parse().map_err(|_| wrong()))?;
        if prefix > width { Err(wrong()) } else { Ok(Self { address, prefix }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(address: &str) -> &'static str {
        not_public(address.parse().unwrap()).unwrap_or("public")
    }

    #[test]
    fn every_special_ipv4_block_is_refused_up_to_its_edges() {
        for (inside, outside, expected) in [
            (["0.0.0.0", "0.255.255.255"], "1.0.0.0", "unspecified"),
            (["10.0.0.0", "10.255.255.255"], "11.0.0.0", "private"),
            (["100.64.0.0", "100.127.255.255"], "100.128.0.0", "shared by a carrier's customers"),
            (["127.0.0.1", "127.255.255.255"], "128.0.0.0", "loopback"),
            (["168.63.129.16", "168.63.129.16"], "168.63.129.17", "cloud metadata"),
            (["169.254.0.0", "169.254.169.254"], "169.255.0.0", "link-local or cloud metadata"),
            (["172.16.0.0", "172.31.255.255"], "172.32.0.0", "private"),
            (["192.0.0.0", "192.0.0.192"], "192.0.1.0", "reserved"),
            (["192.0.2.0", "192.0.2.255"], "192.0.3.0", "documentation"),
            (["192.168.0.0", "192.168.255.255"], "192.169.0.0", "private"),
            (["198.18.0.0", "198.19.255.255"], "198.20.0.0", "benchmark"),
            (["198.51.100.0", "198.51.100.255"], "198.51.101.0", "documentation"),
            (["203.0.113.0", "203.0.113.255"], "203.0.114.0", "documentation"),
            (["224.0.0.1", "239.255.255.255"], "223.255.255.255", "multicast"),
            (["240.0.0.0", "255.255.255.254"], "223.0.0.0", "reserved"),
            (["255.255.255.255", "255.255.255.255"], "8.8.8.8", "broadcast"),
        ] {
            assert_eq!([kind(inside[0]), kind(inside[1])], [expected; 2], "{inside:?}");
            assert_eq!(kind(outside), "public", "{outside}");
        }
    }

    #[test]
    fn of_ipv6_only_what_is_handed_out_is_public() {
        for (address, expected) in [
            ("2606:4700::1111", "public"),
            ("2a00:1450:4001::1", "public"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("fe80::1", "link-local"),
            ("fec0::1", "site-local"),
            ("fd00:ec2::254", "unique-local"),
            ("ff02::1", "multicast"),
            ("2001:db8::1", "documentation"),
            ("3fff:fff::1", "documentation"),
            ("2001::1", "reserved"),
            ("2001:2::1", "reserved"),
            ("100::1", "reserved"),
            ("64:ff9b:1::a00:1", "reserved"),
            ("::127.0.0.1", "reserved"),
            ("4000::1", "reserved"),
        ] {
            assert_eq!(kind(address), expected, "{address}");
        }
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_one_counts_as_what_it_is() {
        for (address, expected) in [
            ("::ffff:10.0.0.1", "private"),
            ("::ffff:8.8.8.8", "public"),
            ("64:ff9b::169.254.169.254", "link-local or cloud metadata"),
            ("64:ff9b::8.8.8.8", "public"),
            ("2002:7f00:1::", "loopback"),
            ("2002:808:808::1", "public"),
        ] {
            assert_eq!(kind(address), expected, "{address}");
        }
    }

    #[test]
    fn networks_are_read_and_hold_their_addresses() {
        let holds = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse::<IpAddr>().unwrap())
        };
        assert!(holds("127.0.0.0/8", "127.9.9.9") && holds("127.0.0.0/8", "::ffff:127.0.0.1"));
        assert!(holds("10.1.2.3", "10.1.2.3") && !holds("10.1.2.3", "10.1.2.4"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::2") && holds("::/0", "::2"));
        assert_eq!("fd00::/8".parse::<Network>().unwrap().to_string(), "fd00::/8");
        assert!(holds("fd00::/8", "fdff::1") && !holds("fd00::/8", "fe00::1"));
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "ten/8", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
