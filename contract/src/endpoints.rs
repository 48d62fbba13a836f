//! Ports, port names and paths: written into Services and probes, served by the server.

/// A TCP port and the name that Services, probes and monitors use for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Name in the container and in the Service.
    pub name: &'static str,
    /// Number inside the pod.
    pub number: u16,
}

/// Predictions and documentation.
pub const HTTP: Port = Port {
    name: "http",
    number: 8080,
};
/// Predictions over gRPC.
pub const GRPC: Port = Port {
    name: "grpc",
    number: 8081,
};
/// Metrics and health: a listener of its own, so that overload never blinds the monitoring.
pub const ADMIN: Port = Port {
    name: "admin",
    number: 9090,
};

/// Every listener of a serving pod.
pub const PORTS: [Port; 3] = [HTTP, GRPC, ADMIN];

/// Prometheus text exposition.
pub const METRICS: &str = "/metrics";
/// 200 while the process makes progress.
pub const LIVEZ: &str = "/livez";
/// 200 while the model answers a real prediction and the server is not draining.
pub const READYZ: &str = "/readyz";

/// Where the operator mounts the [`crate::config::ServerConfig`] in the pod.
pub const CONFIG_DIR: &str = "/etc/modelservice";
/// File name of the configuration, in the ConfigMap and in [`CONFIG_DIR`].
pub const CONFIG_FILE: &str = "server.json";
/// Where the operator mounts Secrets, each in a folder of its own name.
pub const SECRETS_DIR: &str = "/etc/modelservice-secrets";
/// Where the operator mounts the Secret of the model's source, in a folder of its own name.
pub const SOURCE_SECRETS_DIR: &str = "/etc/modelservice-source";
/// Where the operator mounts the volume that holds the model.
pub const MODEL_DIR: &str = "/models";
/// Where Kubernetes reads the last words of a container.
pub const TERMINATION_LOG: &str = "/dev/termination-log";
