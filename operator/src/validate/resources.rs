//! CPU and memory.

use super::Invalid;
use crate::api::{Quantity, ResourceList, ResourcesSpec};
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as KubeQuantity;
use std::collections::BTreeMap;

/// Requests and limits; the memory limit defaults to the request.
pub(super) fn resources(spec: &ResourcesSpec) -> Result<ResourceRequirements, Invalid> {
    check_limit("cpu", spec.requests.cpu.as_ref(), spec.limits.cpu.as_ref())?;
    check_limit(
        "memory",
        spec.requests.memory.as_ref(),
        spec.limits.memory.as_ref(),
    )?;
    let limits = ResourceList {
        cpu: spec.limits.cpu.clone(),
        memory: spec
            .limits
            .memory
            .clone()
            .or_else(|| spec.requests.memory.clone()),
    };
    Ok(ResourceRequirements {
        requests: amounts(&spec.requests),
        limits: amounts(&limits),
        ..ResourceRequirements::default()
    })
}

fn check_limit(
    what: &'static str,
    request: Option<&Quantity>,
    limit: Option<&Quantity>,
) -> Result<(), Invalid> {
    let read = |quantity: &Quantity| {
        let field = if what == "cpu" {
            "resources: cpu"
        } else {
            "resources: memory"
        };
        quantity
            .thousandths()
            .map_err(|source| Invalid::Quantity { field, source })
    };
    let (request_amount, limit_amount) =
        (request.map(read).transpose()?, limit.map(read).transpose()?);
    match (request, limit) {
        (Some(request), Some(limit)) if limit_amount < request_amount => {
            Err(Invalid::LimitBelowRequest {
                what,
                limit: limit.0.clone(),
                request: request.0.clone(),
            })
        }
        _ => Ok(()),
    }
}

fn amounts(list: &ResourceList) -> Option<BTreeMap<String, KubeQuantity>> {
    let entries = [("cpu", &list.cpu), ("memory", &list.memory)];
    let map: BTreeMap<_, _> = entries
        .into_iter()
        .filter_map(|(name, amount)| Some((name.to_owned(), amount.as_ref()?.into())))
        .collect();
    (!map.is_empty()).then_some(map)
}
