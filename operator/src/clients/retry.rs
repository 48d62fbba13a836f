//! Which calls are made again, and when.

use crate::leadership::NotLeading;
use fastrand::f64 as random;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use kube::client::Body;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};
use tower::BoxError;

/// Times that a call is made again.
const MOST_RETRIES: u32 = 2;
/// Pause before the first of them; the next is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause that the server can ask for here: for more, the reconcile ends and waits.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A call that broke is made again only if it broke soon: after a time-out there is no time left.
const SOON: Duration = Duration::from_secs(2);

/// Repeats calls that can be made twice, where the server was too busy or the connection broke.
#[derive(Debug, Clone, Default)]
pub(super) struct Policy {
    retries: u32,
    begin: Option<Instant>,
    repeatable: bool,
}

impl<B> tower::retry::Policy<Request<Body>, Response<B>, BoxError> for Policy {
    type Future = Sleep;

    fn retry(
        &mut self,
        _call: &mut Request<Body>,
        outcome: &mut Result<Response<B>, BoxError>,
    ) -> Option<Sleep> {
        if !self.repeatable || self.retries == MOST_RETRIES {
            return None;
        }
        let pause = FIRST_PAUSE * (1 << self.retries);
        let pause = match outcome {
            Ok(answer) if is_busy(answer.status()) => wish(answer.headers()).unwrap_or(pause),
            Err(error) if self.began_soon_ago() && !error.is::<NotLeading>() => pause,
            Ok(_) | Err(_) => return None,
        };
        self.retries += 1;
        (pause <= LONGEST_PAUSE).then(|| sleep(pause.mul_f64(1.0 + 0.2 * random())))
    }

    fn clone_request(&mut self, call: &Request<Body>) -> Option<Request<Body>> {
        self.begin.get_or_insert_with(Instant::now);
        // A POST makes something new each time; all else is server-side apply, or guarded by a UID.
        self.repeatable = call.method() != Method::POST;
        let body = call.body().try_clone()?;
        let mut copy = Request::new(body);
        call.method().clone_into(copy.method_mut());
        call.uri().clone_into(copy.uri_mut());
        call.headers().clone_into(copy.headers_mut());
        call.extensions().clone_into(copy.extensions_mut());
        Some(copy)
    }
}

impl Policy {
    fn began_soon_ago(&self) -> bool {
        self.begin.is_some_and(|begin| begin.elapsed() < SOON)
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Retry-After in seconds; a date, which no API server sends, is none.
fn wish(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tower::{ServiceBuilder, ServiceExt as _, service_fn};

    /// How often a call was made that is answered like this, and how long that took.
    async fn tries(
        method: Method,
        answer: fn() -> Result<Response<()>, BoxError>,
    ) -> (u32, Duration) {
        let made = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&made);
        let server = service_fn(move |_: Request<Body>| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { answer() }
        });
        let layer = tower::retry::RetryLayer::new(Policy::default());
        let client = ServiceBuilder::new().layer(layer).service(server);
        let call = Request::builder().method(method).body(Body::empty());
        let begin = Instant::now();
        let _ = client.oneshot(call.unwrap()).await;
        (made.load(Ordering::Relaxed), begin.elapsed())
    }

    fn status(code: u16, retry_after: Option<&str>) -> Result<Response<()>, BoxError> {
        let answer = Response::builder().status(code);
        let answer = match retry_after {
            Some(wish) => answer.header(RETRY_AFTER, wish),
            None => answer,
        };
        Ok(answer.body(()).unwrap())
    }

    #[rstest]
    #[case::fine(Method::PATCH, || status(200, None), 1)]
    #[case::wrong(Method::PATCH, || status(422, None), 1)]
    #[case::broken_server(Method::GET, || status(500, None), 1)]
    #[case::busy(Method::PATCH, || status(429, None), 3)]
    #[case::down(Method::GET, || status(503, None), 3)]
    #[case::slow(Method::DELETE, || status(504, None), 3)]
    #[case::asks_for_a_second(Method::GET, || status(429, Some("1")), 3)]
    #[case::asks_for_a_day(Method::GET, || status(429, Some("86400")), 1)]
    #[case::asks_for_nonsense(Method::GET, || status(429, Some("soon")), 3)]
    #[case::reset(Method::PATCH, || Err("reset".into()), 3)]
    #[case::another_leads(Method::PATCH, || Err(NotLeading.into()), 1)]
    #[case::would_be_made_twice(Method::POST, || status(503, None), 1)]
    #[tokio::test(start_paused = true)]
    async fn a_call_is_repeated_where_that_helps_and_harms_nobody(
        #[case] method: Method,
        #[case] answer: fn() -> Result<Response<()>, BoxError>,
        #[case] expected: u32,
    ) {
        let (made, took) = tries(method, answer).await;
        assert_eq!(made, expected);
        assert!(took <= 2 * LONGEST_PAUSE, "{took:?}");
    }
}
