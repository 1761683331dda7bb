//! How often a key may be used.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

/// So many requests a second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests a second on average, above 0.
    per_second: f64,
    /// Requests at once after a rest.
    burst: NonZeroU32,
}

// The number is above 0 and finite, so it equals itself.
impl Eq for Rate {}

/// One key's account.
#[derive(Debug)]
pub(super) struct Limiter {
    rate: Rate,
    limiter: DefaultDirectRateLimiter,
}

impl Rate {
    /// A rate; without a burst as many at once as in one second, and at least one.
    ///
    /// # Errors
    /// What is wrong.
    pub fn new(per_second: f64, burst: Option<u32>) -> Result<Self, String> {
        if !(0.0001..=1e6).contains(&per_second) {
            return Err(format!("{per_second} requests per second are not a number from 0.0001 to 1000000"));
        }
        let burst = burst.unwrap_or_else(|| per_second.ceil() as u32);
        let burst = NonZeroU32::new(burst).ok_or("a burst is at least 1")?;
        Ok(Self { per_second, burst })
    }

    /// The same for a limiter.
    pub(super) fn quota(self) -> Quota {
        let period = Duration::from_secs_f64(1.0 / self.per_second);
        // None only for a period of 0, which no rate in range has.
        let quota = Quota::with_period(period).unwrap_or_else(|| Quota::per_second(self.burst));
        quota.allow_burst(self.burst)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.per_second, self.burst)
    }
}

impl FromStr for Rate {
    type Err = String;

    /// Requests a second, or those, a slash and the burst: `20`, `0.5/10`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a rate such as 20, or 20/40 with a burst of 40");
        let (per_second, burst) = text.split_once('/').map_or((text, None), |(rate, burst)| (rate, Some(burst)));
        let burst = burst.map(str::parse).transpose().map_err(|_| wrong())?;
        Self::new(per_second.parse().map_err(|_| wrong())?, burst)
    }
}

impl Limiter {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, limiter: RateLimiter::direct(rate.quota()) }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one request from the account.
    ///
    /// # Errors
    /// How long until there is one again.
    pub(super) fn take(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_and_without_a_burst() {
        let rate = |text: &str| text.parse::<Rate>();
        assert_eq!(rate("20"), Rate::new(20.0, Some(20)));
        assert_eq!(rate("0.5/3").unwrap().to_string(), "0.5/3");
        assert_eq!(rate("0.5"), Rate::new(0.5, Some(1)));
        assert_eq!(rate("20/40"), Rate::new(20.0, Some(40)));
        for wrong in ["", "0", "-1", "NaN", "inf", "1/0", "1/", "1/x", "many", "1e7"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_burst_is_let_through_and_then_one_has_to_wait() {
        let limiter = Limiter::new("0.01/3".parse().unwrap());
        for _ in 0..3 {
            assert!(limiter.take().is_ok());
        }
        let wait = limiter.take().unwrap_err();
        assert!(wait > Duration::from_secs(90) && wait <= Duration::from_secs(100), "{wait:?}");
    }
}
