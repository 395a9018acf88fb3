//! What an admitted request holds until it ends.

use std::sync::Arc;

use smallvec::SmallVec;

use super::names::SlotKey;
use super::table::Table;
use crate::facts::{Client, PrincipalKind};

/// What an admitted request holds until it ends. Dropping it releases the same, once.
///
/// A request that no concurrency limit counts holds nothing, and its ticket costs nothing.
#[derive(Debug, Default)]
#[must_use]
pub struct Ticket {
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    table: Arc<Table>,
    client: Client,
    places: Places,
}

/// The cells in which a request counts as in flight.
pub(super) type Places = SmallVec<[(PrincipalKind, SlotKey); 2]>;

impl Ticket {
    pub(super) fn new(table: &Arc<Table>, client: Client, places: Places) -> Self {
        let held = (!places.is_empty()).then(|| Held { table: Arc::clone(table), client, places });
        Ticket { held }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(Held { table, client, places }) = self.held.take() else { return };
        for (principal, slot) in places {
            match principal {
                PrincipalKind::Client => table.revisit(client, |record| record.release(slot)),
                _ => table.revisit_everyone(|record| record.release(slot)),
            }
        }
    }
}
