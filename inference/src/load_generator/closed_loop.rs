//! As fast as the server answers: each connection asks again once it is answered.

use super::pace::{Limit, Turns};
use super::session::Session;
use super::transport::Client;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Pause of a connection without an answer: a server that is gone would be asked as fast as the
/// operating system refuses.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes requests on as many connections until `limit`. Dropped, it drops those under way.
pub async fn run<C: Client>(session: Arc<Session>, client: C, connections: u32, limit: Limit) {
    let turns = Arc::new(Turns::new(limit));
    let mut asking = JoinSet::new();
    for _ in 0..connections {
        let (session, turns) = (Arc::clone(&session), Arc::clone(&turns));
        let client = client.another();
        asking.spawn(async move { ask_in_turn(&session, client, &turns).await });
    }
    while asking.join_next().await.is_some() {}
}

async fn ask_in_turn(session: &Session, mut client: impl Client, turns: &Turns) {
    while let Some(number) = turns.take() {
        if !session.ask(&mut client, number, Instant::now()).await {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_generator::session::tests::{Fake, session};

    #[tokio::test]
    async fn a_server_that_is_gone_is_not_asked_without_pause() {
        let session = Arc::new(session(Duration::from_secs(1)));
        let limit = Limit {
            duration: Some(Duration::from_millis(250)),
            requests: None,
        };
        run(Arc::clone(&session), Fake::Refuses, 2, limit).await;
        let refused = session.tally().unanswered["refused"];
        assert!((2..=6).contains(&refused), "{refused}");
    }
}
