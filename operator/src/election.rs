//! Which operator leads: a Lease that its holder renews, and that others take once it has not been
//! renewed for long enough by their own clocks.
//!
//! Every write carries the resourceVersion that was read, so of several that take an expired lease
//! one succeeds. The holder counts from before it asked, and gives up earlier than others may take
//! over. Kubernetes has no fencing: a write that is under way when the right ends may still arrive,
//! which server-side apply and preconditions on UIDs make harmless.

use crate::leadership::Term;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long others wait before they take a lease that is not renewed.
pub const LEASE: Duration = Duration::from_secs(15);
/// After this long without a renewal its holder stops by itself.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Pause between two looks or renewals.
pub const PAUSE: Duration = Duration::from_millis(1_500);
/// Longest wait for the lease to be given back.
const RELEASE: Duration = Duration::from_secs(3);

/// One candidate.
#[derive(Debug)]
pub struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
    term: Term,
    /// The lease as last seen, and since when it has looked like that.
    seen: Option<(Lease, Instant)>,
}

/// What to do about the lease.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// There is none.
    Create,
    /// It is ours.
    Renew,
    /// It is nobody's any more.
    Take,
    /// It is somebody else's for at least so long.
    Wait(Duration),
}

impl Election {
    /// A candidate called `identity`, like no other, for the lease called `name`.
    pub fn new(api: Api<Lease>, name: &str, identity: String, term: Term) -> Self {
        Self {
            api,
            name: name.to_owned(),
            identity,
            term,
            seen: None,
        }
    }

    /// Waits until this operator leads.
    pub async fn win(&mut self) {
        while self.term.until().is_none() {
            let pause = match self.round().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, lease = self.name, "the lease cannot be taken");
                    PAUSE
                }
            };
            if self.term.until().is_none() {
                sleep(pause).await;
            }
        }
        tracing::info!(lease = self.name, identity = self.identity, "leading");
    }

    /// Renews the lease until that fails for too long, or somebody else has it.
    pub async fn keep(&mut self) {
        while let Some(end) = self.term.until() {
            let renewal = async {
                sleep(PAUSE).await;
                self.round().await
            };
            let outcome = tokio::select! {
                biased;
                // An answer that comes too late is none.
                () = sleep_until(end) => break,
                outcome = renewal => outcome,
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, lease = self.name, "the lease is not renewed");
            }
        }
        self.term.end();
        tracing::error!(lease = self.name, "no longer leading");
    }

    /// Gives the lease back, so that nobody has to wait for its end.
    pub async fn release(mut self) {
        self.term.end();
        match timeout(RELEASE, self.give_back()).await {
            Ok(Ok(())) => tracing::info!(lease = self.name, "released"),
            Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "not released"),
            Err(_) => tracing::warn!(lease = self.name, "not released in time"),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "guarded by the resourceVersion, which server-side apply is not"
    )]
    async fn give_back(&mut self) -> Result<(), kube::Error> {
        // Read anew: a renewal that was cut off may have arrived.
        let lease = self.look().await?;
        let Some(mut lease) = lease.filter(|lease| self.is_ours(lease)) else {
            return Ok(());
        };
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.renew_time = Some(now());
        let params = PostParams::default();
        self.api
            .replace(&self.name, &params, &lease)
            .await
            .map(drop)
    }

    /// One look and at most one write; the pause before the next.
    #[expect(
        clippy::disallowed_methods,
        reason = "guarded by the resourceVersion, which server-side apply is not"
    )]
    async fn round(&mut self) -> Result<Duration, kube::Error> {
        let begin = Instant::now();
        // What we wrote last is read again only if somebody else has written since.
        let ours = self.seen.as_ref().map(|(lease, _)| lease);
        let lease = match ours.filter(|lease| self.is_ours(lease)) {
            Some(lease) => Some(lease.clone()),
            None => self.look().await?,
        };
        let unchanged = self.seen.as_ref().map(|(_, since)| since.elapsed());
        let step = step(
            lease.as_ref(),
            &self.identity,
            unchanged.unwrap_or_default(),
        );
        let params = PostParams::default();
        let written = match step {
            Step::Wait(rest) => return Ok(rest.min(PAUSE)),
            Step::Create => self.api.create(&params, &self.claim(None)).await,
            Step::Renew | Step::Take => {
                let claim = self.claim(lease.as_ref());
                self.api.replace(&self.name, &params, &claim).await
            }
        };
        match written {
            Ok(lease) => {
                self.seen = Some((lease, Instant::now()));
                self.term.extend(begin + RENEW_DEADLINE);
                Ok(PAUSE)
            }
            // Somebody was faster: who, the next look tells.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                self.lose().await?;
                Ok(PAUSE)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the lease, and notes since when it has looked like that.
    async fn look(&mut self) -> Result<Option<Lease>, kube::Error> {
        let lease = self.api.get_opt(&self.name).await?;
        let known = self.seen.as_ref().map(|(lease, _)| lease);
        if known.map(version) != lease.as_ref().map(version) {
            self.seen = lease.clone().map(|lease| (lease, Instant::now()));
        }
        Ok(lease)
    }

    /// What is left of the right after a write that came too late: nothing, if somebody else has
    /// the lease; else the lease has only been touched.
    async fn lose(&mut self) -> Result<(), kube::Error> {
        self.seen = None;
        let lease = self.look().await?;
        if !lease.is_some_and(|lease| self.is_ours(&lease)) {
            self.term.end();
        }
        Ok(())
    }

    /// The lease as ours, over what is there now.
    fn claim(&self, current: Option<&Lease>) -> Lease {
        let mut lease = current.cloned().unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        });
        let renewed = self.is_ours(&lease);
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        let now = now();
        if !renewed {
            spec.acquire_time = Some(now.clone());
            let transitions = spec.lease_transitions;
            spec.lease_transitions = Some(transitions.map_or(0, |times| times.saturating_add(1)));
        }
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = i32::try_from(LEASE.as_secs()).ok();
        spec.renew_time = Some(now);
        lease
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        holder(lease) == Some(&self.identity)
    }
}

fn now() -> MicroTime {
    MicroTime(Timestamp::now())
}

fn holder(lease: &Lease) -> Option<&String> {
    let holder = lease.spec.as_ref()?.holder_identity.as_ref();
    holder.filter(|holder| !holder.is_empty())
}

fn version(lease: &Lease) -> Option<String> {
    lease.resource_version()
}

/// What `identity` does about `lease`, which has looked like that for so long.
fn step(lease: Option<&Lease>, identity: &str, unchanged: Duration) -> Step {
    let Some(lease) = lease else {
        return Step::Create;
    };
    match holder(lease) {
        None => Step::Take,
        Some(holder) if holder == identity => Step::Renew,
        Some(_) => match LEASE.saturating_sub(unchanged) {
            Duration::ZERO => Step::Take,
            rest => Step::Wait(rest),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const ME: &str = "me";

    fn held_by(holder: Option<&str>) -> Lease {
        let spec = LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            ..LeaseSpec::default()
        };
        Lease {
            spec: Some(spec),
            ..Lease::default()
        }
    }

    #[rstest]
    #[case::absent(None, 0, Step::Create)]
    #[case::ours(Some(held_by(Some(ME))), 60, Step::Renew)]
    #[case::released(Some(held_by(None)), 0, Step::Take)]
    #[case::emptied(Some(held_by(Some(""))), 0, Step::Take)]
    #[case::without_a_spec(Some(Lease::default()), 0, Step::Take)]
    #[case::just_renewed(Some(held_by(Some("you"))), 0, Step::Wait(LEASE))]
    #[case::nearly_over(Some(held_by(Some("you"))), 14, Step::Wait(Duration::from_secs(1)))]
    #[case::over(Some(held_by(Some("you"))), 15, Step::Take)]
    #[case::long_over(Some(held_by(Some("you"))), 3_600, Step::Take)]
    fn a_lease_is_taken_only_if_nobody_holds_it(
        #[case] lease: Option<Lease>,
        #[case] unchanged: u64,
        #[case] expected: Step,
    ) {
        let unchanged = Duration::from_secs(unchanged);
        assert_eq!(step(lease.as_ref(), ME, unchanged), expected);
    }

    #[test]
    fn a_holder_stops_long_before_others_take_over() {
        // Between the two lie a renewal under way and clocks that do not run alike.
        assert!(RENEW_DEADLINE + 2 * PAUSE < LEASE);
        // A crash just after a renewal is noticed within one pause.
        assert!(LEASE + PAUSE <= Duration::from_secs(17));
        assert!(PAUSE + RELEASE / 2 <= Duration::from_secs(3));
    }
}
