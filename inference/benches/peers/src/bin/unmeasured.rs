//! `unmeasured MODEL PORT`: the server's own parts put together as `inference serve` does, but for
//! whatever counts or times a request: the difference is what being measured costs.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use contract::config::Limits;
use http::StatusCode;
use inference::model::Batch;
use inference::serve::app::App;
use inference::serve::decode::{Form, decode};
use inference::serve::encode::{Answer, Encoder};
use inference::serve::error::{Error, json};
use inference::serve::{listener, work};
use peers::Outcome;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

async fn predict(State(app): State<Arc<App>>, body: Body) -> Result<Response, Error> {
    let body = app.admission.receive(body).await?;
    let permit = app.admission.enter()?;
    let answer = work::run(&app, body, permit, answer).await?;
    Ok(json(StatusCode::OK, answer))
}

fn answer(app: &App, body: &[u8]) -> Result<Vec<u8>, Error> {
    let (rows, form) = decode(body, &app.signature, app.limits.max_batch_rows as usize)?;
    let batch = Batch::new(rows.values, app.signature.width());
    let batch = batch.map_err(|error| Error::Invalid(error.to_string()))?;
    let predictions = app.model.model.predict(&batch);
    let encoder = Encoder::new(app, SystemTime::now());
    Ok(match form {
        Form::Single => encoder.encode(Answer::Single(&predictions)),
        Form::List => encoder.encode(Answer::List(&predictions)),
    })
}

#[tokio::main]
async fn main() -> Outcome {
    let [model, port] = peers::arguments("unmeasured MODEL PORT")?;
    let app = App::new(peers::model(model)?, Limits::default(), Duration::ZERO)?;
    let router = Router::new().route("/predict", post(predict));
    let router = router.with_state(Arc::new(app));
    let stop = std::future::pending();
    listener::serve(peers::listen(&port).await?, router, stop, Duration::ZERO).await;
    Ok(())
}
