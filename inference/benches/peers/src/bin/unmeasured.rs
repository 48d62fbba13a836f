//! `unmeasured MODEL PORT`: the server's own parts put together as `inference serve` does, but for
//! whatever counts or times a request: the difference is what being measured costs.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use contract::config::{Limits, ModelConfig};
use contract::labels::Endpoint;
use futures::FutureExt as _;
use http::StatusCode;
use inference::model::Batch;
use inference::serve::app::App;
use inference::serve::compression::{Coding, compress};
use inference::serve::decode::{Form, decode};
use inference::serve::encode::{Answer, Encoder};
use inference::serve::error::{Error, json};
use inference::serve::job::Job;
use inference::serve::{listener, work};
use peers::Outcome;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

async fn predict(State(app): State<&'static App>, request: Request) -> Response {
    let coding = Coding::accepted(request.headers());
    let admitted = app.access.admit(Endpoint::Predict, request.headers());
    let answer = async move {
        admitted?;
        respond(app, request).await
    };
    let answer = match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(answer) => answer.into_response(),
        Err(_) => Error::Internal.into_response(),
    };
    compress(answer, coding).await
}

async fn respond(app: &'static App, request: Request) -> Result<Response, Error> {
    let deadline = app.deadline();
    let body = work::Received {
        deadline,
        coding: Coding::of_body(request.headers())?,
        bytes: app.admission.receive(request, deadline).await?,
        visit: None,
    };
    let answer = work::perform(app, app.served(), body, answer).await?;
    Ok(json(StatusCode::OK, answer))
}

fn answer(served: &Job, body: &[u8]) -> Result<Vec<u8>, Error> {
    let (rows, form) = decode(body, &served.signature, served.max_rows())?;
    let batch = Batch::new(rows.values, served.signature.width());
    let batch = batch.map_err(|error| Error::Invalid(error.to_string()))?;
    let predictions = served.predict(&batch);
    let encoder = Encoder::new(served, SystemTime::now());
    Ok(match form {
        Form::Single => encoder.encode(Answer::Single(&predictions)),
        Form::List => encoder.encode(Answer::List(&predictions)),
    })
}

#[tokio::main]
async fn main() -> Outcome {
    let [model, port] = peers::arguments("unmeasured MODEL PORT")?;
    let (model, source) = (peers::model(model)?, ModelConfig::default());
    let app = App::new(model, source, Limits::default(), Duration::ZERO)?;
    let router = Router::new().route("/predict", post(predict));
    let router = router.with_state(app.share());
    let stop = std::future::pending();
    listener::accept(peers::listen(&port).await?, None, router, |_| (), stop).await;
    Ok(())
}
