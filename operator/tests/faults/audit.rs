//! What the API server says of who held a lease and who wrote.

use crate::audit_log::{self, credential, is_about_a_lease, is_write};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use operator::election::LEASE;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;

/// Begins the name of each namespace with a lease that is fought for.
const LANE: &str = "lane-";

/// Who holds the lease of a lane, and when that was last renewed.
type Holders = HashMap<String, (String, Timestamp)>;

/// What came of the elections. A candidate is called after its lane and a number, as `lane-3-7`.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// Writes of those who led.
    pub(crate) writes: usize,
    /// How often a lease went to another holder.
    changes: usize,
    /// Claims to a lease that somebody else had just written.
    pub(crate) refused: usize,
    /// Writes of those who did not lead: their names, if they ever did, and what the log says.
    pub(crate) violations: Vec<(String, String)>,
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            writes, changes, ..
        } = self;
        write!(f, "{changes} holders of leases, {writes} writes")
    }
}

impl Audit {
    /// Goes through the log in the order in which requests came.
    pub(crate) fn read() -> Self {
        let mut entries = audit_log::entries();
        entries.retain(is_write);
        entries.sort_by_key(|entry| entry["requestReceivedTimestamp"].to_string());
        let mut audit = Self::default();
        let (mut names, mut holders) = (HashMap::new(), Holders::new());
        for entry in &entries {
            match is_about_a_lease(entry) {
                true => audit.lease(entry, &mut names, &mut holders),
                false => audit.write(entry, &names, &holders),
            }
        }
        audit
    }

    /// Notes whose token it was that wrote the lease, and who holds that from now on.
    fn lease<'a>(
        &mut self,
        entry: &'a Value,
        names: &mut HashMap<&'a str, String>,
        holders: &mut Holders,
    ) {
        if entry["responseStatus"]["code"] == 409 {
            self.refused += 1;
        }
        let lane = entry["objectRef"]["namespace"].as_str().unwrap_or_default();
        if !lane.starts_with(LANE) || !is_success(entry) {
            return;
        }
        let holder = entry["requestObject"]["spec"]["holderIdentity"].as_str();
        let name = holder
            .and_then(|holder| holder.split_once('_'))
            .map(|(name, _)| name);
        let Some(name) = name else {
            holders.remove(lane);
            return;
        };
        names.insert(credential(entry), name.to_owned());
        let now = (name.to_owned(), time(entry));
        let before = holders.insert(lane.to_owned(), now);
        if before.is_none_or(|(before, _)| before != name) {
            self.changes += 1;
        }
    }

    /// Only who holds the lease of its lane may write, and only until others may take it.
    fn write(&mut self, entry: &Value, names: &HashMap<&str, String>, holders: &Holders) {
        let Some(name) = names.get(credential(entry)) else {
            if is_of_operator(entry) {
                self.violations.push((String::new(), entry.to_string()));
            }
            return;
        };
        let lane = name.rsplit_once('-').unwrap().0;
        let may = holders.get(lane).is_some_and(|(holder, renewed)| {
            holder == name && time(entry).duration_since(*renewed) < lease()
        });
        match may {
            true => self.writes += 1,
            false => {
                let entry = format!("by {name}: {entry}");
                self.violations.push((name.clone(), entry));
            }
        }
    }
}

fn lease() -> SignedDuration {
    SignedDuration::try_from(LEASE).unwrap()
}

/// When a request came.
fn time(entry: &Value) -> Timestamp {
    let text = entry["requestReceivedTimestamp"].as_str().unwrap();
    text.parse().unwrap()
}

fn is_success(entry: &Value) -> bool {
    let code = entry["responseStatus"]["code"].as_u64();
    code.is_some_and(|code| code < 300)
}

fn is_of_operator(entry: &Value) -> bool {
    let user = entry["user"]["username"].as_str().unwrap_or_default();
    user.ends_with(crate::installed::RELEASE)
}
