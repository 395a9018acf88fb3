//! Which findings somebody asks for.

use super::report::FindingReport;

/// Findings that fit all of what is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub detector: Option<String>,
    pub clause: Option<String>,
    /// A kind of principal, an id, or both as `KIND:ID`.
    pub principal: Option<String>,
    pub open: Option<bool>,
}

impl Filter {
    pub fn fits(&self, report: &FindingReport) -> bool {
        let is = |asked: &Option<String>, its: &str| asked.as_ref().is_none_or(|asked| asked == its);
        is(&self.detector, &report.detector)
            && is(&self.clause, &report.clause)
            && self.principal.as_ref().is_none_or(|asked| {
                let (kind, id) = (&report.principal.kind, &report.principal.id);
                // An id may hold colons of its own: an IPv6 address does.
                let both = asked.strip_prefix(kind.as_str()).and_then(|rest| rest.strip_prefix(':'));
                asked == kind || asked == id || both == Some(id)
            })
            && self.open.is_none_or(|open| open == report.open)
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    /// Promise: a principal is asked for by its kind, its id or both.
    #[test]
    fn principals_are_asked_for() {
        let report = report(1);
        let fits = |principal: &str| {
            Filter { principal: Some(principal.to_owned()), ..Filter::default() }.fits(&report)
        };
        for asked in ["client", "2001:db8::/64", "client:2001:db8::/64"] {
            assert!(fits(asked), "{asked}");
        }
        for asked in ["", "account", "db8::/64", "account:2001:db8::/64", "client:", "clients"] {
            assert!(!fits(asked), "{asked}");
        }
        let both = Filter { detector: Some("crawl".to_owned()), open: Some(false), ..Filter::default() };
        assert!(!both.fits(&report));
    }
}
