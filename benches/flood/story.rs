//! What is played: accounts and clients that use up their limits, a flood of new clients, a crowd that is over its
//! limit, and everybody once more. What must be true of it is checked by whoever plays it.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};

use super::traffic::{Answers, Requests, play};

/// Requests that each client, and each account, may send during the whole story.
pub(crate) const LIMIT: u64 = 3;
pub(crate) const ACCOUNTS: u64 = 100;
/// Clients that stay over their limit through the flood; every other of them is silent meanwhile.
pub(crate) const OFFENDERS: u64 = 100;
/// Between two requests of offenders, so many new clients come.
const EVERY: u64 = 100;
/// Clients of a crowd that share a /24.
const OF_A_NETWORK: u64 = 128;
/// The last octet of somebody there who is not of the crowd.
const NEIGHBOUR: u32 = 200;

/// The configuration: as in the quickstart, but for a window that outlasts the story, and for accounts.
pub(crate) fn config(app: SocketAddr, memory: &str) -> String {
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.0/8\"]\nworkers = 2\n\
         [upstreams.app]\nservers = [\"{app}\"]\n\
         [identity]\naccount = [\"bearer\"]\naccounts_file = \"accounts.toml\"\n\
         [state]\nmemory = \"{memory}\"\n[log]\nformat = \"json\"\n\
         [[limits]]\nname = \"per-client\"\nkey = [\"client\"]\nrate = \"{LIMIT}/h\"\n\
         [[limits]]\nname = \"per-account\"\nkey = [\"account\"]\nrate = \"{LIMIT}/h\"\n"
    )
}

/// The accounts' file beside it.
pub(crate) fn accounts() -> String {
    (0..ACCOUNTS).fold("version = 1\n".to_owned(), |mut text, account| {
        let [high, low] = Sha256::digest(token(account)).as_chunks::<16>().0[..2] else { return text };
        let (high, low) = (u128::from_be_bytes(high), u128::from_be_bytes(low));
        // Writing to a string cannot fail.
        _ = writeln!(
            text,
            "[[accounts]]\nid = \"{account}\"\ncredentials = [\"sha256:{high:032x}{low:032x}\"]"
        );
        text
    })
}

fn token(account: u64) -> String {
    format!("an-example-that-nobody-uses-{account}")
}

/// One weir and the clients that play with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    pub(crate) proxy: SocketAddr,
    pub(crate) connections: usize,
}

impl Stage {
    /// Every account uses up its limit, and then asks once more. Answers within the limit, and over it.
    pub(crate) fn accounts(self) -> io::Result<[Answers; 2]> {
        play(self.proxy, self.connections, ACCOUNTS, |account, requests| {
            for nth in 0..=LIMIT {
                // From a new address each time: nothing but the account's limit is near.
                let address = own_address(account * (LIMIT + 1) + nth);
                requests.of_account(address, &token(account), usize::from(nth >= LIMIT));
            }
        })
    }

    /// Every account once more.
    pub(crate) fn accounts_again(self, nth_time: u64) -> io::Result<Answers> {
        let [answers] = play(self.proxy, self.connections, ACCOUNTS, |account, requests| {
            let address = own_address((nth_time + LIMIT + 1) * ACCOUNTS + account);
            requests.of_account(address, &token(account), 0);
        })?;
        Ok(answers)
    }

    /// Every offender uses up its limit, and then asks once more. Answers within the limit, and over it.
    pub(crate) fn offenders(self) -> io::Result<[Answers; 2]> {
        play(self.proxy, self.connections, OFFENDERS, |offender, requests| {
            use_up(offender_address(offender), requests, [0, 0, 1]);
        })
    }

    /// All of them once more.
    pub(crate) fn offenders_again(self) -> io::Result<Answers> {
        let [answers] = play(self.proxy, self.connections, OFFENDERS, |offender, requests| {
            requests.of_client(offender_address(offender), 0);
        })?;
        Ok(answers)
    }

    /// A request each of `clients` that were never seen, while every other offender goes on asking. Answers to the
    /// clients, and to the offenders.
    pub(crate) fn flood(self, clients: u64) -> io::Result<[Answers; 2]> {
        play(self.proxy, self.connections, clients, |client, requests| {
            requests.of_client(flood_address(client), 0);
            if client.is_multiple_of(EVERY) {
                let offender = client / EVERY * 2 % OFFENDERS;
                requests.of_client(offender_address(offender), 1);
            }
        })
    }

    /// Of `clients` that were never seen, each uses up its limit, and then asks once more. Answers to their first
    /// requests, to others within the limit, and to those over it.
    pub(crate) fn crowd(self, clients: u64) -> io::Result<[Answers; 3]> {
        play(self.proxy, self.connections, clients, |client, requests| {
            use_up(crowd_address(client), requests, [0, 1, 2]);
        })
    }

    /// All of the crowd once more.
    pub(crate) fn crowd_again(self, clients: u64) -> io::Result<Answers> {
        let [answers] = play(self.proxy, self.connections, clients, |client, requests| {
            requests.of_client(crowd_address(client), 0);
        })?;
        Ok(answers)
    }

    /// A request each of clients that were never seen: one of each network that the crowd came from.
    pub(crate) fn neighbours(self, crowd: u64) -> io::Result<Answers> {
        let [answers] = play(self.proxy, self.connections, crowd / OF_A_NETWORK, |network, requests| {
            requests.of_client(crowd_address(network * OF_A_NETWORK) | NEIGHBOUR, 0);
        })?;
        Ok(answers)
    }
}

/// As many requests as the limit allows, and one more. Kinds: of the first, of others within it, of the last.
fn use_up(address: u32, requests: &mut Requests, kinds: [usize; 3]) {
    for nth in 0..=LIMIT {
        let kind = match nth {
            0 => 0,
            LIMIT => 2,
            _ => 1,
        };
        requests.of_client(address, kinds[kind]);
    }
}

/// New clients are all over 16.0.0.0/4, in an order without locality, each once.
fn flood_address(client: u64) -> u32 {
    0x1000_0000 | scattered(client)
}

/// A crowd has 128 clients of each /24 of 32.0.0.0/4, the lower half of it, one network after the other.
fn crowd_address(client: u64) -> u32 {
    0x2000_0000 | low(client / OF_A_NETWORK) << 8 | low(client % OF_A_NETWORK)
}

/// Offenders have a network each, of 48.0.0.0/8.
fn offender_address(offender: u64) -> u32 {
    0x3000_0000 | low(offender) << 8
}

/// Accounts come from 49.0.0.0/8.
fn own_address(number: u64) -> u32 {
    0x3100_0000 | low(number)
}

/// Multiplying by an odd number is a permutation of the numbers of 28 bits.
fn scattered(number: u64) -> u32 {
    low(number.wrapping_mul(2_654_435_761)) & 0x0fff_ffff
}

#[expect(clippy::cast_possible_truncation, reason = "numbers of clients are far below 2^28")]
const fn low(number: u64) -> u32 {
    number as u32
}
