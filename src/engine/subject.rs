//! Whom a limit charges for a request.

use http::HeaderName;
use smallvec::SmallVec;

use super::keyed::KeyedHash;
use crate::facts::{Facts, Principal, PrincipalKind};
use crate::policy::{LimitKey, Missing, Networks, TermsId, WhoPart};

/// Who a limit counts by, ready to be asked.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Everyone,
    Client,
    /// One part that may be missing from a request.
    One(Part, Missing),
    /// Several parts together.
    Several(Vec<Part>, Missing),
}

/// One part of a key.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Client,
    Network(Networks),
    Account,
    Session,
    Fingerprint,
    Header(HeaderName),
}

/// A principal that is charged, and the terms that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charged {
    pub(super) principal: Principal,
    /// Its own, where it is an account or holds one. Else the request's account's: see `Rules::terms_of`.
    pub(super) terms: Option<TermsId>,
}

/// Usually one; two accounts, or an unknown credential and its client, are two.
pub(super) type Charges = SmallVec<[Charged; 2]>;

impl Subject {
    pub(super) fn of(key: &LimitKey, network: &Networks) -> Self {
        let part = |part: &WhoPart| match part {
            WhoPart::Client => Part::Client,
            WhoPart::Network => Part::Network(network.clone()),
            WhoPart::Account => Part::Account,
            WhoPart::Session => Part::Session,
            WhoPart::Fingerprint => Part::Fingerprint,
            WhoPart::Header(name) => Part::Header(name.clone()),
        };
        match key.who.as_slice() {
            [] => Subject::Everyone,
            [WhoPart::Client] => Subject::Client,
            [one] => Subject::One(part(one), key.missing),
            several => Subject::Several(several.iter().map(part).collect(), key.missing),
        }
    }

    /// Everyone that is charged for a request; nobody where it lacks what is counted by.
    pub(super) fn charges(&self, facts: &Facts<'_>, keyed: &KeyedHash) -> Charges {
        match self {
            Subject::Everyone => one(Principal::EVERYONE),
            Subject::Client => one(facts.client.into()),
            Subject::One(part, missing) => or_missing(part.charges(facts, keyed), *missing),
            Subject::Several(parts, missing) => or_missing(together(parts, facts, keyed), *missing),
        }
    }
}

impl Part {
    fn charges(&self, facts: &Facts<'_>, keyed: &KeyedHash) -> Charges {
        match self {
            Part::Client => one(facts.client.into()),
            Part::Network(prefix) => one(prefix.of(facts.address)),
            Part::Account => accounts(facts),
            Part::Session => facts.who.session.map(one).unwrap_or_default(),
            Part::Fingerprint => {
                facts.who.fingerprint.as_ref().map(|print| one(print.principal)).unwrap_or_default()
            }
            Part::Header(name) => {
                // A field that comes more than once is one value, as its lines would be read together (RFC 9110 §5.3).
                let mut values =
                    facts.headers.get_all(name).iter().map(http::HeaderValue::as_bytes).peekable();
                if values.peek().is_none() {
                    return Charges::new();
                }
                let values: SmallVec<[&[u8]; 2]> = values.collect();
                one(Principal::new(PrincipalKind::Header, keyed.of(&(name.as_str(), values.as_slice()))))
            }
        }
    }
}

/// Every known account; else the unknown credential, and its client as well, so that inventing credentials wins
/// nothing.
fn accounts(facts: &Facts<'_>) -> Charges {
    let known = facts.who.accounts.iter();
    let mut charges: Charges =
        known.map(|a| Charged { principal: a.principal, terms: Some(a.terms) }).collect();
    if charges.is_empty()
        && let Some(unknown) = facts.who.unknown
    {
        charges.push(Charged { principal: unknown, terms: None });
        charges.push(Charged { principal: facts.client.into(), terms: None });
    }
    charges
}

/// Some principals at once, and the terms of the account among them.
type Combination = (SmallVec<[Principal; 4]>, Option<TermsId>);

/// One principal for each way to take one of every part; only accounts come in several.
fn together(parts: &[Part], facts: &Facts<'_>, keyed: &KeyedHash) -> Charges {
    let mut combinations: SmallVec<[Combination; 2]> = SmallVec::from_iter([(SmallVec::new(), None)]);
    for part in parts {
        let choices = part.charges(facts, keyed);
        let longer = combinations.iter().flat_map(|(principals, terms)| {
            choices.iter().map(move |choice| {
                let mut principals = principals.clone();
                principals.push(choice.principal);
                (principals, choice.terms.or(*terms))
            })
        });
        combinations = longer.collect();
    }
    let id = |principals: &[Principal]| Principal::new(PrincipalKind::Combination, keyed.of(principals));
    combinations
        .iter()
        .map(|(principals, terms)| Charged { principal: id(principals), terms: *terms })
        .collect()
}

fn or_missing(charges: Charges, missing: Missing) -> Charges {
    match missing {
        // The shared budget is a cell of everyone's record: it is never forgotten.
        Missing::Shared if charges.is_empty() => one(Principal::EVERYONE),
        _ => charges,
    }
}

fn one(principal: Principal) -> Charges {
    SmallVec::from_iter([Charged { principal, terms: None }])
}
