//! Whom a network stands for: those of its clients that are over a limit and cannot all be held.

use crate::facts::Principal;

/// A set of principals that forgets nobody. Of those with the same last eight bits of their id it knows only that
/// there is one: clients of an IPv4 /24 and the first 256 /64s of an IPv6 /48 are told apart exactly.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crowd(pub(super) CrowdBits);

/// A set as it is saved.
pub(in crate::engine) type CrowdBits = [u64; 4];

impl Crowd {
    /// What a set takes in a map by principal, with the map's own byte.
    pub(super) const ENTRY_BYTES: usize = size_of::<(Principal, Crowd)>() + 1;

    pub(super) fn add(&mut self, somebody: Principal) {
        let (word, bit) = place(somebody);
        self.0[word] |= bit;
    }

    pub(super) const fn has(&self, somebody: Principal) -> bool {
        let (word, bit) = place(somebody);
        self.0[word] & bit != 0
    }
}

/// An IPv6 client's id ends in 64 bits of zero: there the last bits of the /64 count.
const fn place(somebody: Principal) -> (usize, u64) {
    let id = somebody.id();
    let folded = (id ^ id >> 64) as usize & 255;
    (folded / 64, 1 << (folded % 64))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::facts::Client;

    fn client(address: &str) -> Principal {
        let address: IpAddr = address.parse().unwrap();
        Client::fold(address, 32, 64).into()
    }

    /// Promise: clients of one /24 are told apart, and so are the first 256 networks of an IPv6 site.
    #[test]
    fn neighbours_are_told_apart() {
        let mut crowd = Crowd::default();
        for n in (0..256).step_by(3) {
            crowd.add(client(&format!("192.0.2.{n}")));
        }
        for n in 0..256 {
            assert_eq!(crowd.has(client(&format!("192.0.2.{n}"))), n % 3 == 0);
        }
        let mut crowd = Crowd::default();
        crowd.add(client("2001:db8:0:17::1"));
        assert!(crowd.has(client("2001:db8:0:17::2")));
        assert!(!crowd.has(client("2001:db8:0:18::1")));
    }
}
