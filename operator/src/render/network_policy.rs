use crate::meta;
use crate::plan::{Destination, Host, NetworkAccess, Plan};
use contract::endpoints::{ADMIN, GRPC, HTTP, Port};
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Label that every namespace carries with its own name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
const DNS_PORT: u16 = 53;
/// All addresses, and of them those that answer only to the machine itself.
const EVERYWHERE: [(&str, &str); 2] = [("0.0.0.0/0", "169.254.0.0/16"), ("::/0", "fe80::/10")];

/// Predictions may be asked for by all pods of the cluster, metrics by those that monitor; kubelets
/// may always probe. The pods themselves call nobody but whom their model comes from and their traces go to:
/// that is why pods of each configuration have a policy of their own.
pub(super) fn render(plan: &Plan, access: &NetworkAccess) -> NetworkPolicy {
    let everywhere = vec![namespaces(BTreeMap::new())];
    let monitoring = access.monitoring_namespaces.iter();
    let monitoring = match access.monitoring_namespaces.is_empty() {
        true => everywhere.clone(),
        false => monitoring.map(|name| namespace(name)).collect(),
    };
    NetworkPolicy {
        metadata: meta::object(&plan.id, plan.config_name(), &BTreeMap::new()),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(pods_of_configuration(plan)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![
                allow(&[HTTP, GRPC], everywhere),
                allow(&[ADMIN], monitoring),
            ]),
            egress: Some(egress(&access.destinations)),
        }),
    }
}

fn pods_of_configuration(plan: &Plan) -> LabelSelector {
    let mut labels = meta::selector(&plan.id);
    labels.insert(meta::config_label(), plan.config.hash.clone());
    LabelSelector {
        match_labels: Some(labels),
        ..LabelSelector::default()
    }
}

fn allow(ports: &[Port], from: Vec<NetworkPolicyPeer>) -> NetworkPolicyIngressRule {
    let ports = ports
        .iter()
        .map(|named| port("TCP", IntOrString::String(named.name.to_owned())));
    NetworkPolicyIngressRule {
        from: Some(from),
        ports: Some(ports.collect()),
    }
}

fn port(protocol: &str, port: IntOrString) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(port),
        protocol: Some(protocol.to_owned()),
        ..NetworkPolicyPort::default()
    }
}

/// Names may be looked up, and what they stand for may be asked, if there is anything.
fn egress(destinations: &[Destination]) -> Vec<NetworkPolicyEgressRule> {
    if destinations.is_empty() {
        return Vec::new();
    }
    let dns = ["UDP", "TCP"].map(|protocol| port(protocol, number(DNS_PORT)));
    let dns = NetworkPolicyEgressRule {
        to: None,
        ports: Some(dns.to_vec()),
    };
    let destinations = destinations.iter().flat_map(towards);
    std::iter::once(dns).chain(destinations).collect()
}

fn number(number: u16) -> IntOrString {
    IntOrString::Int(i32::from(number))
}

fn towards(destination: &Destination) -> Vec<NetworkPolicyEgressRule> {
    let there = |to: Vec<NetworkPolicyPeer>| NetworkPolicyEgressRule {
        to: Some(to),
        ports: Some(vec![port("TCP", number(destination.port))]),
    };
    // A Service may have another port than its pods, and theirs is what counts.
    let inside = |name: &str| NetworkPolicyEgressRule {
        to: Some(vec![namespace(name)]),
        ports: None,
    };
    let outside = || {
        there(
            EVERYWHERE
                .map(|(all, but)| addresses(all, Some(but)))
                .to_vec(),
        )
    };
    match &destination.host {
        Host::Address(address) => vec![there(vec![addresses(&only(*address), None)])],
        Host::Inside(name) => vec![inside(name)],
        Host::Either(name) => vec![inside(name), outside()],
        Host::Outside => vec![outside()],
    }
}

fn only(address: IpAddr) -> String {
    match address {
        IpAddr::V4(_) => format!("{address}/32"),
        IpAddr::V6(_) => format!("{address}/128"),
    }
}

fn addresses(all: &str, but: Option<&str>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: all.to_owned(),
            except: but.map(|but| vec![but.to_owned()]),
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn namespace(name: &str) -> NetworkPolicyPeer {
    namespaces(BTreeMap::from([(
        NAMESPACE_NAME.to_owned(),
        name.to_owned(),
    )]))
}

/// The namespaces that carry `labels`: without labels all of them.
fn namespaces(labels: BTreeMap<String, String>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: (!labels.is_empty()).then_some(labels),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}
