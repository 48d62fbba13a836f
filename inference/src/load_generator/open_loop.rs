//! As regularly as wanted, whatever the server does. Latency counts from when a request was due,
//! so that a server that stalls cannot hide how long those had to wait that came meanwhile.

use super::pace::{Limit, Schedule};
use super::session::Session;
use super::transport::Client;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, Sender, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;

/// Connections at most: an operating system often allows 1,024 files.
const MOST_CONNECTIONS: usize = 512;
/// Time after the end in which the last requests are still made, as a busy computer is never quite
/// on time.
const GRACE: Duration = Duration::from_millis(100);
/// Requests that are due but not begun; the thread that keeps time waits while there are more.
const QUEUE: usize = 64;

/// Makes requests at the times of `schedule` until `limit`. Dropped, it drops those under way.
pub async fn run<C: Client>(session: Arc<Session>, client: C, schedule: Schedule, limit: Limit) {
    let (sender, mut dues) = mpsc::channel(QUEUE);
    let clock = Clock::start(schedule, limit);
    // The runtime's timers know whole milliseconds only.
    tokio::task::spawn_blocking(move || clock.tick(&sender));
    let mut pool = Pool::new(client);
    let mut asking = JoinSet::new();
    while let Some(due) = dues.recv().await {
        let mut client = pool.take().await;
        if clock.is_over() {
            break;
        }
        let (session, returned) = (Arc::clone(&session), pool.returned.clone());
        asking.spawn(async move {
            session.ask(&mut client, due.number, due.at).await;
            // Nobody takes it back after the last request.
            let _ = returned.send(client);
        });
        while asking.try_join_next().is_some() {}
    }
    while asking.join_next().await.is_some() {}
}

/// A request to be made.
#[derive(Debug)]
struct Due {
    number: u64,
    at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Clock {
    schedule: Schedule,
    limit: Limit,
    begin: Instant,
}

impl Clock {
    fn start(schedule: Schedule, limit: Limit) -> Self {
        Self {
            schedule,
            limit,
            begin: Instant::now(),
        }
    }

    /// Whether it is too late even for the last request.
    fn is_over(&self) -> bool {
        let end = self.limit.duration.map(|duration| duration + GRACE);
        end.is_some_and(|end| self.begin.elapsed() > end)
    }

    /// Sends the requests when they are due.
    fn tick(&self, dues: &Sender<Due>) {
        for number in 0..self.schedule.count(self.limit) {
            let at = self.begin + self.schedule.due(number);
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if self.is_over() || dues.blocking_send(Due { number, at }).is_err() {
                return;
            }
        }
    }
}

/// Connections that wait for a request; there are no more than were needed at once.
struct Pool<C> {
    model: C,
    opened: usize,
    idle: UnboundedReceiver<C>,
    returned: UnboundedSender<C>,
}

impl<C: Client> Pool<C> {
    fn new(model: C) -> Self {
        let (returned, idle) = mpsc::unbounded_channel();
        Self {
            model,
            opened: 0,
            idle,
            returned,
        }
    }

    /// An idle connection, else a new one, else the first that becomes idle.
    async fn take(&mut self) -> C {
        if let Ok(client) = self.idle.try_recv() {
            return client;
        }
        if self.opened >= MOST_CONNECTIONS
            && let Some(client) = self.idle.recv().await
        {
            return client;
        }
        self.opened += 1;
        self.model.another()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_generator::session::tests::{Fake, session};
    use crate::load_generator::summary::Summary;

    async fn run_at(rate: f64, limit: Limit, server: Fake) -> Summary {
        let session = Arc::new(session(Duration::from_secs(1)));
        let schedule = Schedule { rate };
        run(Arc::clone(&session), server, schedule, limit).await;
        let planned = schedule.count(limit);
        Summary::new(&session.tally(), 1.0, planned, false)
    }

    #[tokio::test]
    async fn slow_answers_do_not_delay_the_next_request() {
        let server = Fake::Takes(Duration::from_millis(500));
        let limit = Limit {
            duration: None,
            requests: Some(30),
        };
        let begin = Instant::now();
        let summary = run_at(100.0, limit, server).await;
        assert_eq!((summary.requests, summary.unsent), (30, 0));
        assert!(begin.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn what_cannot_be_sent_in_time_is_said() {
        let server = Fake::Takes(Duration::from_millis(100));
        let limit = Limit {
            duration: Some(Duration::from_millis(300)),
            requests: None,
        };
        let summary = run_at(20_000.0, limit, server).await;
        assert!(summary.late > 0, "{summary:?}");
        assert!(summary.unsent > 0, "{summary:?}");
        assert_eq!(summary.requests + summary.unsent, 6_000);
    }
}
