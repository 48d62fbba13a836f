//! The life of an operator: it fills its caches, runs for the lease, and reconciles while it leads.

use crate::clients::Clients;
use crate::controller::{self, Work};
use crate::election::Election;
use crate::leadership::{Leadership, Term};
use crate::meta;
use crate::metrics::Metrics;
use futures::FutureExt as _;
use kube::Api;

/// The lease was lost: another operator may lead by now, and the process had better start anew.
#[derive(Debug, thiserror::Error)]
#[error("another operator may lead by now")]
pub struct LeaseLost;

/// What an operator needs besides its clients.
#[derive(Debug)]
pub struct Office {
    /// Namespace of the lease.
    pub namespace: String,
    /// A name that no other operator has, however often a pod of the same name starts.
    pub identity: String,
    /// The right that the lease grants.
    pub term: Term,
    /// What is to be done while it is granted.
    pub work: Work,
}

/// Operates until `stop`, and then gives the lease back.
///
/// # Errors
/// `LeaseLost`.
pub async fn operate(
    clients: Clients,
    office: Office,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) -> Result<(), LeaseLost> {
    let Office {
        namespace,
        identity,
        term,
        work,
    } = office;
    let metrics = work.metrics.clone();
    let leases = Api::namespaced(clients.lease.clone(), &namespace);
    let mut election = Election::new(leases, meta::MANAGER, identity, term);
    let leadership = clients.leadership.clone();
    let stop = stop.boxed().shared();
    let ended = tokio::select! {
        biased;
        () = controller::run(clients, work, stop.clone()) => Ok(()),
        () = stopped_standing_by(stop, &leadership) => Ok(()),
        () = reign(&mut election, &metrics) => Err(LeaseLost),
    };
    election.release().await;
    ended
}

/// Wins the lease and keeps it; ends when it is lost.
async fn reign(election: &mut Election, metrics: &Metrics) {
    election.win().await;
    metrics.leads();
    election.keep().await;
}

/// Ends at once where there is nothing under way.
async fn stopped_standing_by(stop: impl Future<Output = ()>, leadership: &Leadership) {
    stop.await;
    if leadership.holds() {
        std::future::pending::<()>().await;
    }
}
