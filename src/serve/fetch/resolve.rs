//! Names to addresses, every one of them checked. The connection goes to what this gives and to nothing else.

use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{FetchError, FetchRules};

/// The machine's own resolver, behind the rules.
pub(super) struct Checked(pub(super) Arc<FetchRules>);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = Arc::clone(&self.0);
        Box::pin(async move {
            // The port is put in later.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let addresses: Vec<_> = found.map_err(|_| FetchError::Unreachable("has no address"))?.collect();
            if addresses.is_empty() {
                return Err(FetchError::Unreachable("has no address").into());
            }
            // One forbidden address among others is a trick, or a mistake; neither is worth trying the others.
            for address in &addresses {
                rules.check_address(address.ip())?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
