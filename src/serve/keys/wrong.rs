//! Wrong keys: how often one address may send them before it is told to wait.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

use super::Rate;

/// Wrong keys after which accounts that are whole again are forgotten, so that they do not fill the memory.
const TIDY_EVERY: u32 = 1024;

/// The accounts of addresses that sent wrong keys. Right keys do not come here.
#[derive(Debug)]
pub(super) struct WrongKeys {
    accounts: DefaultKeyedRateLimiter<IpAddr>,
    seen: AtomicU32,
}

impl WrongKeys {
    pub(super) fn new(rate: Rate) -> Self {
        Self { accounts: RateLimiter::keyed(rate.quota()), seen: AtomicU32::new(0) }
    }

    /// Counts a wrong key.
    ///
    /// # Errors
    /// How long until there may be another from this address, where there were too many.
    pub(super) fn count(&self, from: IpAddr) -> Result<(), Duration> {
        if self.seen.fetch_add(1, Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.accounts.retain_recent();
        }
        let counted = self.accounts.check_key(&household(from));
        counted.map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }
}

/// What counts as one address: in IPv6 the 64 bits that a provider gives to one customer.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_told_to_wait_and_another_is_not() {
        let wrong = WrongKeys::new("0.01/2".parse().unwrap());
        assert!(wrong.count(address("192.0.2.1")).is_ok() && wrong.count(address("192.0.2.1")).is_ok());
        let wait = wrong.count(address("192.0.2.1")).unwrap_err();
        assert!(wait > Duration::from_secs(90) && wait <= Duration::from_secs(100), "{wait:?}");
        assert!(wrong.count(address("192.0.2.2")).is_ok());
    }

    #[test]
    fn the_same_host_by_another_address_is_the_same() {
        for (one, other) in [("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8::1", "2001:db8::ffff:2")] {
            assert_eq!(household(address(one)), household(address(other)));
        }
        assert_ne!(household(address("2001:db8::1")), household(address("2001:db8:0:1::1")));
    }

    #[test]
    fn accounts_that_are_whole_again_are_forgotten() {
        let wrong = WrongKeys::new("1000000".parse().unwrap());
        for i in 0..TIDY_EVERY {
            wrong.count(IpAddr::V4(i.into())).unwrap();
        }
        assert!(wrong.accounts.len() < TIDY_EVERY as usize / 2, "{}", wrong.accounts.len());
    }
}
