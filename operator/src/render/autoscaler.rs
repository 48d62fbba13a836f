use crate::meta;
use crate::plan::{Autoscaling, Identity};
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec,
    MetricTarget, ResourceMetricSource,
};
use std::collections::BTreeMap;

/// Scales the Deployment between the bounds.
pub(super) fn render(id: &Identity, autoscaling: &Autoscaling) -> HorizontalPodAutoscaler {
    HorizontalPodAutoscaler {
        metadata: meta::object(id, meta::name(id), &BTreeMap::new()),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: meta::name(id),
            },
            min_replicas: Some(autoscaling.fewest),
            max_replicas: autoscaling.most,
            metrics: Some(vec![cpu(autoscaling.cpu_utilization)]),
            behavior: None,
        }),
        status: None,
    }
}

/// Percent of the CPU that pods request.
fn cpu(utilization: i32) -> MetricSpec {
    MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: "cpu".to_owned(),
            target: MetricTarget {
                type_: "Utilization".to_owned(),
                average_utilization: Some(utilization),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    }
}
