//! Properties of every combination of credentials.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

/// A credential, and where it stands.
#[derive(Clone, Debug)]
struct Field {
    place: usize,
    value: String,
}

impl Field {
    fn header(&self) -> (&'static str, String) {
        match self.place {
            0 => ("authorization", format!("Bearer {}", self.value)),
            1 => ("x-api-key", self.value.clone()),
            _ => ("cookie", format!("a=b; sid={}; c", self.value)),
        }
    }
}

fn known() -> impl Strategy<Value = Field> {
    let values = prop_oneof![Just("acme-1"), Just("acme-2"), Just("globex-1")];
    (0_usize..3, values).prop_map(|(place, value)| Field { place, value: value.to_owned() })
}

fn junk() -> impl Strategy<Value = Field> {
    let value = prop_oneof!["[!-~]{0,40}", "acme-[3-9]", "[a-z]{1,8}\\.[a-z]{1,8}\\.[a-z]{0,8}"];
    (0_usize..3, value).prop_map(|(place, value)| Field { place, value: value.replace(';', "") })
}

/// Whose credential each is: the plain reference.
fn owners(fields: &[Field]) -> BTreeSet<String> {
    fields
        .iter()
        .filter_map(|field| field.value.rsplit_once('-'))
        .map(|(account, _)| account.to_owned())
        .collect()
}

fn found(resolver: &Resolver, fields: &[Field]) -> Who {
    let headers: Vec<_> = fields.iter().map(Field::header).collect();
    who(resolver, &headers)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        rng_seed: RngSeed::Fixed(0x77_65_69_72),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever junk is added, wherever, in whichever order: the accounts behind a request stay the same, each once.
    #[test]
    fn junk_takes_no_account_away(
        known in prop::collection::vec(known(), 0..5),
        junk in prop::collection::vec(junk(), 0..8),
        order in any::<prop::sample::Index>(),
    ) {
        let resolver = resolver(identity(everywhere()));
        let mut fields = known.clone();
        for (at, field) in junk.into_iter().enumerate() {
            fields.insert((order.index(97) * (at + 1)) % (fields.len() + 1), field);
        }
        let who = found(&resolver, &fields);
        let found: BTreeSet<String> = ids(&who).into_iter().map(str::to_owned).collect();
        prop_assert_eq!(&found, &owners(&known));
        prop_assert_eq!(found.len(), who.accounts.len());
        prop_assert!(found.is_empty() || who.unknown.is_none());
    }

    /// The order of credentials does not matter for who is found.
    #[test]
    fn order_does_not_matter(fields in prop::collection::vec(known(), 1..6)) {
        let resolver = resolver(identity(everywhere()));
        let mut backwards = fields.clone();
        backwards.reverse();
        let set = |fields: &[Field]| -> BTreeSet<String> {
            ids(&found(&resolver, fields)).into_iter().map(str::to_owned).collect()
        };
        prop_assert_eq!(set(&fields), set(&backwards));
    }

    /// No octets that a field may hold break the reading of it.
    #[test]
    fn any_octets_are_read(
        field in prop::collection::vec(prop_oneof![Just(b'\t'), 32_u8..127, 128_u8..=255], 0..200),
        place in 0_usize..3,
    ) {
        let resolver = resolver(identity(everywhere()));
        let name = ["authorization", "x-api-key", "cookie"][place];
        if let Ok(resolved) = try_resolve(&resolver, &[(name, field)]) {
            prop_assert!(resolved.who.accounts.is_empty());
        }
    }
}
