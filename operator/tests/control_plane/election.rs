//! Several operators: one works, the others stand by, and take over when it stops, dies or freezes.

use crate::cluster::{Cluster, Operator, lease_holder, while_another_leads};
use crate::kubectl::eventually;
use std::time::{Duration, Instant};

const SPEC: &str = "{model: {source: {builtin: {name: diabetes}}}}";

/// Waits until another operator than `before` holds the lease; time since `begin`, and its name.
fn takeover(before: &str, begin: Instant) -> (Duration, String) {
    let patience = Duration::from_secs(40);
    let holder = eventually("another operator to lead", patience, || {
        let holder = lease_holder();
        holder.filter(|holder| holder != before).ok_or(None)
    });
    (begin.elapsed(), holder)
}

/// Has whoever leads make the children of a ModelService.
fn assert_works(cluster: &Cluster, name: &str) {
    let yaml = crate::cluster::model_service(name, SPEC);
    cluster.apply(&yaml).unwrap();
    cluster.wait("deployment", name, |_| true);
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn one_operator_writes_and_another_takes_over() {
    let cluster = Cluster::alone("election");
    assert_works(&cluster, "first");
    let mut second = Operator::start("second");
    assert_works(&cluster, "still-first");
    assert_eq!(second.writes(), [""; 0]);

    let before = lease_holder().unwrap();
    let begin = Instant::now();
    while_another_leads(|| {
        let (took, before) = takeover(&before, begin);
        println!("after a stop: {took:?}");
        assert!(took < Duration::from_secs(4), "{took:?}");
        assert_works(&cluster, "second");
        assert!(!second.writes().is_empty());

        let mut third = Operator::start("third");
        second.signal("-STOP");
        let begin = Instant::now();
        let (took, before) = takeover(&before, begin);
        println!("after a freeze: {took:?}");
        assert!(took < Duration::from_secs(18), "{took:?}");
        let written = second.writes();
        assert_works(&cluster, "third");
        second.signal("-CONT");
        assert!(!second.end(), "it does not know that it leads no more");
        assert_eq!(second.writes(), written);

        let fourth = Operator::start("fourth");
        third.signal("-KILL");
        let begin = Instant::now();
        assert!(!third.end());
        let (took, _) = takeover(&before, begin);
        println!("after a crash: {took:?}");
        assert!(took < Duration::from_secs(18), "{took:?}");
        assert_works(&cluster, "fourth");
        fourth.signal("-TERM");
    });
    assert_works(&cluster, "fifth");
}
