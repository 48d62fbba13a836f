//! What the tests of the server share: models made by hand, requests in process, real processes.
// Each test binary compiles this file anew and uses a part of it; it holds no tests itself, so
// that clippy does not see that unwrapping is fine.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod business;
pub mod exposition;
pub mod process;
pub mod receiver;
pub mod rpc;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use contract::config::{Limits, ModelConfig, ServerConfig};
use http::{Method, Request, StatusCode};
use inference::artifact::{
    Algorithm, Feature, FeatureKind, Manifest, Profile, Reference, RegressionReport, Report, Task,
    Training,
};
use inference::load::{self, LoadedModel};
use inference::model::{Batch, Model, Predictions};
use inference::serve::access::Access;
use inference::serve::app::{App, router};
use inference::serve::metrics::Format;
use serde_json::Value;
use std::time::Duration;
use tower::ServiceExt as _;

/// The example row of the diabetes data.
pub const ROW: &str = r#"{"Pregnancies":6,"Glucose":148,"BloodPressure":72,"SkinThickness":35,"Insulin":0,"BMI":33.6,"DiabetesPedigreeFunction":0.627,"Age":50}"#;

/// How the hand-made model behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Behaviour {
    /// The class is 1 where `a > b`; the probability of class 1 is `a / (a + b)`.
    Classify,
    /// The class alone.
    ClassifyWithoutProbabilities,
    /// The value is `a + b`.
    Add,
    /// Panics on rows with `a = 666`, else as `Add`.
    Panic,
    /// Takes 300 ms, then as `Add`.
    Slow,
}

impl Model for Behaviour {
    fn predict(&self, batch: &Batch) -> Predictions {
        let labels = || {
            batch
                .iter()
                .map(|row| usize::from(row[0] > row[1]))
                .collect()
        };
        match self {
            Self::Classify => Predictions::Classes {
                labels: labels(),
                probabilities: Some(batch.iter().flat_map(shares).collect()),
            },
            Self::ClassifyWithoutProbabilities => Predictions::Classes {
                labels: labels(),
                probabilities: None,
            },
            Self::Add => Predictions::Values(batch.iter().map(|row| row[0] + row[1]).collect()),
            Self::Panic => {
                assert!(batch.values()[0] != 666.0, "as told");
                Self::Add.predict(batch)
            }
            Self::Slow => {
                std::thread::sleep(Duration::from_millis(300));
                Self::Add.predict(batch)
            }
        }
    }
}

fn shares(row: &[f64]) -> [f64; 2] {
    let share = row[0] / (row[0] + row[1]);
    [1.0 - share, share]
}

/// A model of two features: `a`, which must be given, and `b`, for which 4 stands in.
pub fn made(behaviour: Behaviour, classes: &[&str]) -> LoadedModel {
    let task = match behaviour {
        Behaviour::Classify | Behaviour::ClassifyWithoutProbabilities => Task::Classification,
        Behaviour::Add | Behaviour::Panic | Behaviour::Slow => Task::Regression,
    };
    let feature = |name: &str, fill| Feature {
        name: name.to_owned(),
        kind: FeatureKind::Float,
        min: 0.0,
        max: 10.0,
        missing: 0.0,
        fill,
    };
    let profile = || Profile {
        edges: vec![0.25, 0.5],
        shares: vec![0.5, 0.25, 0.25],
    };
    let manifest = Manifest {
        name: "made".to_owned(),
        version: None,
        task,
        algorithm: Algorithm::DecisionTree,
        target: "y".to_owned(),
        features: vec![feature("a", None), feature("b", Some(4.0))],
        classes: classes.iter().map(|&class| class.to_owned()).collect(),
        training: Training {
            rows: 10,
            test_rows: 2,
            seed: 1,
            parameters: Default::default(),
            report: Report::Regression(RegressionReport {
                rmse: 0.0,
                mae: 0.0,
                r2: 1.0,
            }),
        },
        reference: Reference {
            features: vec![profile(), profile()],
            prediction: profile(),
        },
    };
    LoadedModel {
        manifest,
        name: "made".to_owned(),
        version: "v7".to_owned(),
        sha256: "0".repeat(64),
        fetched_version: None,
        model: Box::new(behaviour),
    }
}

/// The model inside the binary.
pub fn diabetes() -> LoadedModel {
    load::load(&ModelConfig::default()).unwrap()
}

/// A server in this process, without a socket.
#[derive(Debug, Clone)]
pub struct Server(pub &'static App);

/// An answer, its body as text.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub text: String,
    pub bytes: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

impl Server {
    pub fn new(model: LoadedModel) -> Self {
        Self::with(model, Limits::default())
    }

    pub fn with(model: LoadedModel, limits: Limits) -> Self {
        let app = App::new(model, ModelConfig::default(), limits, Duration::ZERO);
        Self(app.unwrap().share())
    }

    /// A server whose model may be loaded and unloaded.
    pub fn controlled(model: LoadedModel) -> Self {
        let limits = Limits::default();
        let app = App::new(model, ModelConfig::default(), limits, Duration::ZERO).unwrap();
        Self(app.with_model_control(true).share())
    }

    /// A server with the secrets, metrics, traces and names that `config` has.
    pub fn guarded(model: LoadedModel, config: &ServerConfig) -> Self {
        let app = App::new(
            model,
            ModelConfig::default(),
            Limits::default(),
            Duration::ZERO,
        );
        let app = app.unwrap();
        let access = Access::read(config, &app.metrics.keys).unwrap();
        let app = app.guarded(access).speaking(&config.compatibility);
        let app = match &config.tracing {
            Some(tracing) => app.tracing(tracing, false).unwrap(),
            None => app,
        };
        Self(app.counting(&config.business_metrics).unwrap().share())
    }

    pub fn made(behaviour: Behaviour) -> Self {
        Self::new(made(behaviour, classes(behaviour)))
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = router(self.0).oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8_lossy(&body).into_owned(),
            bytes: body,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, "")).await
    }

    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(request(Method::POST, path, body)).await
    }

    pub fn exposition(&self) -> String {
        self.exposition_in(Format::Prometheus)
    }

    pub fn exposition_in(&self, format: Format) -> String {
        let text = self.0.metrics.render(&self.0.served().metrics, format);
        String::from_utf8(text.unwrap()).unwrap()
    }

    /// Value of a series, written as in the exposition.
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.exposition();
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let found = lines.find(|(name, _)| *name == series);
        let (_, value) = found.unwrap_or_else(|| panic!("no series {series} in\n{text}"));
        value.parse().unwrap()
    }
}

fn classes(behaviour: Behaviour) -> &'static [&'static str] {
    match behaviour {
        Behaviour::Classify | Behaviour::ClassifyWithoutProbabilities => &["no", "yes"],
        Behaviour::Add | Behaviour::Panic | Behaviour::Slow => &[],
    }
}

pub fn request(method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    request.body(body.into()).unwrap()
}
