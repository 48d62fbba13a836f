use crate::meta;
use crate::plan::Identity;
use contract::endpoints::{GRPC, HTTP, PORTS};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;

/// Where predictions are asked for, and what the ServiceMonitor selects.
pub(super) fn render(id: &Identity) -> Service {
    Service {
        metadata: meta::object(id, meta::name(id), &BTreeMap::new()),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(meta::selector(id)),
            ports: Some(PORTS.map(port).to_vec()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn port(port: contract::endpoints::Port) -> ServicePort {
    ServicePort {
        name: Some(port.name.to_owned()),
        port: i32::from(port.number),
        protocol: Some("TCP".to_owned()),
        // gRPC needs HTTP/2, which proxies and gateways speak only where they are told to.
        app_protocol: (port == GRPC).then(|| "kubernetes.io/h2c".to_owned()),
        target_port: Some(IntOrString::String(port.name.to_owned())),
        ..ServicePort::default()
    }
}

/// Where predictions are answered inside the cluster.
pub fn url(id: &Identity) -> String {
    format!(
        "http://{}.{}.svc:{}",
        meta::name(id),
        id.namespace,
        HTTP.number
    )
}
