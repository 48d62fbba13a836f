//! The methods that only look, or load and unload.

use super::infer::given;
use super::proto::model_metadata_response::TensorMetadata;
use super::proto::repository_index_response::ModelIndex;
use super::proto::{
    InferStatistics, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ModelReadyResponse, ModelStatistics, ModelStatisticsRequest, ModelStatisticsResponse,
    RepositoryIndexRequest, RepositoryIndexResponse, RepositoryModelLoadRequest,
    RepositoryModelLoadResponse, RepositoryModelUnloadRequest, RepositoryModelUnloadResponse,
    ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
    ServerReadyRequest, ServerReadyResponse, StatisticDuration,
};
use super::unary::{Call, decode};
use crate::serve::app::App;
use crate::serve::error::Error;
use crate::serve::health::check_ready;
use crate::serve::open_inference::metadata::{self, TensorMetadata as Described};
use crate::serve::open_inference::statistics::{InferenceStatistics, Spent, statistics};
use crate::serve::open_inference::{find, repository};
use prost::Message as _;

pub(super) fn server_live(_: &App, _: &ServerLiveRequest) -> Result<ServerLiveResponse, Error> {
    Ok(ServerLiveResponse { live: true })
}

pub(super) fn server_ready(
    app: &App,
    _: &ServerReadyRequest,
) -> Result<ServerReadyResponse, Error> {
    let ready = check_ready(app, &app.served()).is_ok();
    Ok(ServerReadyResponse { ready })
}

pub(super) fn model_ready(
    app: &App,
    request: &ModelReadyRequest,
) -> Result<ModelReadyResponse, Error> {
    let served = find(app, Some(&request.name), given(&request.version))?;
    let ready = check_ready(app, &served).is_ok();
    Ok(ModelReadyResponse { ready })
}

pub(super) fn server_metadata(
    _: &App,
    _: &ServerMetadataRequest,
) -> Result<ServerMetadataResponse, Error> {
    let server = metadata::server();
    Ok(ServerMetadataResponse {
        name: server.name.to_owned(),
        version: server.version.to_owned(),
        extensions: server.extensions.map(str::to_owned).to_vec(),
    })
}

pub(super) fn model_metadata(
    app: &App,
    request: &ModelMetadataRequest,
) -> Result<ModelMetadataResponse, Error> {
    let served = find(app, Some(&request.name), given(&request.version))?;
    let model = metadata::model(&served);
    let tensor = |tensor: Described<'_>| TensorMetadata {
        name: tensor.name.to_owned(),
        datatype: tensor.datatype.to_owned(),
        shape: tensor.shape,
    };
    let properties = model.properties.into_iter();
    Ok(ModelMetadataResponse {
        name: model.name.to_owned(),
        versions: model.versions.map(str::to_owned).to_vec(),
        platform: model.platform.to_owned(),
        inputs: model.inputs.into_iter().map(tensor).collect(),
        outputs: model.outputs.into_iter().map(tensor).collect(),
        properties: properties
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    })
}

pub(super) fn model_statistics(
    app: &App,
    request: &ModelStatisticsRequest,
) -> Result<ModelStatisticsResponse, Error> {
    let served = find(app, given(&request.name), given(&request.version))?;
    let model = statistics(app, &served);
    Ok(ModelStatisticsResponse {
        model_stats: vec![ModelStatistics {
            name: model.name.to_owned(),
            version: model.version.to_owned(),
            last_inference: model.last_inference,
            inference_count: model.inference_count,
            execution_count: model.execution_count,
            inference_stats: Some(spent(&model.inference_stats)),
        }],
    })
}

fn spent(statistics: &InferenceStatistics) -> InferStatistics {
    let spent = |Spent { count, ns }| Some(StatisticDuration { count, ns });
    InferStatistics {
        success: spent(statistics.success),
        fail: spent(statistics.fail),
        queue: spent(statistics.queue),
        compute_input: spent(statistics.compute_input),
        compute_infer: spent(statistics.compute_infer),
        compute_output: spent(statistics.compute_output),
    }
}

pub(super) fn repository_index(
    app: &App,
    request: &RepositoryIndexRequest,
) -> Result<RepositoryIndexResponse, Error> {
    let models = repository::index(app, request.ready).into_iter();
    let models = models.map(|entry| ModelIndex {
        name: entry.name,
        version: entry.version,
        state: entry.state.to_owned(),
        reason: entry.reason.to_owned(),
    });
    Ok(RepositoryIndexResponse {
        models: models.collect(),
    })
}

pub(super) async fn load(app: &'static App, call: Call) -> Result<Vec<u8>, Error> {
    let request: RepositoryModelLoadRequest = decode(&call.message)?;
    repository::check_parameters(request.parameters.keys())?;
    repository::load(app, &request.model_name).await?;
    Ok(RepositoryModelLoadResponse {}.encode_to_vec())
}

pub(super) fn unload(
    app: &App,
    request: &RepositoryModelUnloadRequest,
) -> Result<RepositoryModelUnloadResponse, Error> {
    repository::unload(app, &request.model_name)?;
    Ok(RepositoryModelUnloadResponse {})
}
