//! Requests that come all the time, from the node, by the address of a Service.

use crate::cluster::{Cluster, copy_to_node, node, on_node, repository, run};
use serde_json::Value;
use std::thread::{JoinHandle, spawn};

/// A load generator that runs until it is stopped, half an hour at most.
pub(crate) struct Load {
    program: String,
    run: JoinHandle<(bool, String)>,
}

impl Load {
    /// Asks the ModelService `name` as `arguments` say.
    pub(crate) fn start(cluster: &Cluster, name: &str, arguments: &[&str]) -> Self {
        let inference =
            std::env::var("INFERENCE").expect("run the tests with `make test-end-to-end`");
        // Under a name of its own it can be told from those of other tests.
        let program = format!("load-{}", cluster.namespace);
        copy_to_node(&inference, &format!("/usr/local/bin/{program}"));
        let data = repository("examples/data/diabetes.csv");
        copy_to_node(data.to_str().unwrap(), "/var/diabetes.csv");
        cluster.wait_reachable(name);
        let url = cluster.url(name).unwrap();
        let fixed = [
            "exec",
            &node(),
            &program,
            "load",
            "--url",
            &url,
            "--data",
            "/var/diabetes.csv",
            "--target",
            "Outcome",
            "--duration",
            "30m",
            "--json",
        ];
        let all = fixed.iter().chain(arguments).map(|&text| text.to_owned());
        let all: Vec<String> = all.collect();
        let run = spawn(move || {
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            run("docker", &all)
        });
        Self { program, run }
    }

    /// Stops it; its summary.
    pub(crate) fn stop(self) -> Value {
        on_node(&["pkill", "-INT", "-f", &format!("{} load", self.program)]);
        let (_, text) = self.run.join().unwrap();
        let summary = text.find('{').map(|begin| &text[begin..]);
        serde_json::from_str(summary.unwrap_or_default())
            .unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}
