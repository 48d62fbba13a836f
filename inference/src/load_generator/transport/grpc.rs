//! The Open Inference Protocol over gRPC.

use super::rest::Url;
use super::{Answer, Client, DescribeError, Failure, Served, Verdict};
use crate::load_generator::request::{Cell, Fault, Request};
use crate::serve::grpc::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use crate::serve::grpc::proto::model_infer_request::InferInputTensor;
use crate::serve::grpc::proto::{
    InferTensorContents, ModelInferRequest, ModelMetadataRequest, RepositoryIndexRequest,
};
use std::error::Error;
use std::io;
use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

type Connection = GrpcInferenceServiceClient<Channel>;

/// A client of ModelInfer.
#[derive(Debug)]
pub struct Grpc {
    route: Arc<Route>,
    connection: Option<Connection>,
}

/// Where requests go.
#[derive(Debug)]
struct Route {
    url: Url,
    model: String,
}

impl Grpc {
    /// A client that sends one FP64 tensor.
    pub fn new(url: Url, served: &Served) -> Self {
        let model = served.model.clone();
        Self {
            route: Arc::new(Route { url, model }),
            connection: None,
        }
    }
}

impl Client for Grpc {
    fn another(&self) -> Self {
        Self {
            route: Arc::clone(&self.route),
            connection: None,
        }
    }

    async fn ask(&mut self, request: &Request) -> Result<Answer, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.route.url).await?,
        };
        let outcome = connection
            .model_infer(message(&self.route.model, request))
            .await;
        let answer = match outcome {
            Ok(_) => answer(&Status::ok("")),
            Err(status) => answer(&answered(status)?),
        };
        self.connection = Some(connection);
        Ok(answer)
    }
}

/// Asks the server at `url` what it serves: connecting and each of two questions are given up after
/// `timeout`.
///
/// # Errors
/// [`DescribeError`], which names the question.
pub async fn describe(url: &Url, timeout: Duration) -> Result<Served, DescribeError> {
    let connecting = tokio::time::timeout(timeout, connect(url)).await;
    let connection = connecting.unwrap_or(Err(Failure::Timeout(timeout)));
    let mut connection = connection.map_err(|source| DescribeError::Unanswered {
        asked: format!("gRPC at {url}"),
        source,
    })?;
    let index = RepositoryIndexRequest::default();
    let question = ("RepositoryIndex", url, timeout);
    let index = reply(question, connection.repository_index(index)).await?;
    let model = index.models.into_iter().next();
    let model = model.ok_or(DescribeError::NoModel)?.name;
    let metadata = ModelMetadataRequest {
        name: model.clone(),
        ..ModelMetadataRequest::default()
    };
    let question = ("ModelMetadata", url, timeout);
    let metadata = reply(question, connection.model_metadata(metadata)).await?;
    let features = metadata.inputs.into_iter().map(|input| input.name);
    Served::new(model, features.collect())
}

/// The reply to a question: its method, whom it is put to, and how long it may take.
async fn reply<T>(
    (method, url, timeout): (&str, &Url, Duration),
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, DescribeError> {
    let asked = format!("{method} of {url}");
    let outcome = match tokio::time::timeout(timeout, call).await {
        Ok(Ok(reply)) => return Ok(reply.into_inner()),
        Ok(Err(status)) => answered(status),
        Err(_) => Err(Failure::Timeout(timeout)),
    };
    Err(match outcome {
        Ok(status) => DescribeError::Refused {
            asked,
            status: name(status.code()),
            said: status.message().to_owned(),
        },
        Err(source) => DescribeError::Unanswered { asked, source },
    })
}

async fn connect(url: &Url) -> Result<Connection, Failure> {
    let endpoint = Endpoint::from_shared(format!("http://{}", url.address));
    let endpoint = endpoint.map_err(|error| Failure::Unreadable(error.into()))?;
    match endpoint.connect().await {
        Ok(channel) => Ok(GrpcInferenceServiceClient::new(channel)),
        Err(error) => Err(match io_kind(&error) {
            Some(kind) => Failure::connecting(io::Error::new(kind, error)),
            None => Failure::Closed(error.into()),
        }),
    }
}

/// `status` if the server gave it, else why there is none.
fn answered(status: Status) -> Result<Status, Failure> {
    let Some(source) = status.source() else {
        return Ok(status);
    };
    if io_kind(source) == Some(io::ErrorKind::ConnectionRefused) {
        return Err(Failure::Refused);
    }
    // Each cause repeats the one below it.
    let first = causes(source).last().unwrap_or(source);
    Err(Failure::Closed(first.to_string().into()))
}

/// What the operating system said, if it is among the causes of `error`.
fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    causes(error).find_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error| (*error).source())
}

fn answer(status: &Status) -> Answer {
    let verdict = match status.code() {
        Code::Ok => Verdict::Accepted,
        Code::InvalidArgument => Verdict::Refused,
        _ => Verdict::Failed,
    };
    Answer {
        status: name(status.code()),
        verdict,
        said: (verdict != Verdict::Accepted).then(|| status.message().to_owned()),
    }
}

fn name(code: Code) -> String {
    format!("{code:?}")
}

/// One tensor of all rows; without any if the request is to be one that the protocol does not have.
fn message(model: &str, request: &Request) -> ModelInferRequest {
    let readable = request.fault != Some(Fault::Unreadable);
    ModelInferRequest {
        model_name: model.to_owned(),
        inputs: readable.then(|| tensor(request)).into_iter().collect(),
        ..ModelInferRequest::default()
    }
}

/// A tensor that lacks an absent cell is shorter than its shape says; one with text is text.
fn tensor(request: &Request) -> InferInputTensor {
    let text = request.cells.contains(&Cell::Text);
    let contents = InferTensorContents {
        fp64_contents: request.cells.iter().filter_map(number).collect(),
        ..InferTensorContents::default()
    };
    InferInputTensor {
        name: "rows".to_owned(),
        datatype: if text { "BYTES" } else { "FP64" }.to_owned(),
        shape: vec![request.rows() as i64, request.width as i64],
        contents: Some(contents),
        ..InferInputTensor::default()
    }
}

/// None for what is no number or not there.
const fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Number(number) => Some(*number),
        Cell::Null => Some(f64::NAN),
        Cell::Infinite => Some(f64::INFINITY),
        Cell::Absent | Cell::Text => None,
    }
}
